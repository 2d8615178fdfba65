// The last pass, once per screen pixel, so it must stay cheap: drift, cubic upsampling, vignette, grain,
// dither. Everything here works on the sRGB curve; the curve itself was applied before upsampling.
in vec2 v_place;
in vec2 v_uv;  // with drift's zoom, turn and sway in it
out vec4 colour;
uniform sampler2D u_source;
uniform sampler2D u_grain;     // r film grain, g even noise for the dither
uniform ivec2 u_place;         // where the grain tile lies in this frame
uniform vec2 u_size;           // texels of the level that is sampled
uniform float u_level;         // mip level, above 0 only when the picture is drawn smaller than it is
uniform vec4 u_bend;           // a slow quadratic warp: curvature without a sine per pixel
uniform float u_grain_amount;
uniform float u_vignette;
uniform float u_fade;          // 1 shows, 0 is black

vec3 cubic(vec2 uv) {
    // Cubic B-spline by four bilinear taps placed so that the sampler does the weighting
    // (Sigg and Hadwiger, GPU Gems 2, chapter 20).
    vec2 at = uv * u_size - 0.5;
    vec2 f = fract(at);
    vec2 f2 = f * f, f3 = f2 * f;
    vec2 w1 = 2.0 / 3.0 - f2 + 0.5 * f3;
    vec2 w3 = f3 / 6.0;
    vec2 g0 = (1.0 - 3.0 * f + 3.0 * f2 - f3) / 6.0 + w1;
    vec2 g1 = 1.0 - g0;
    vec2 base = at - f + 0.5;
    vec2 low = (base - 1.0 + w1 / g0) / u_size;
    vec2 high = (base + 1.0 + w3 / g1) / u_size;
    vec3 top = mix(textureLod(u_source, high, u_level).rgb,
                   textureLod(u_source, vec2(low.x, high.y), u_level).rgb, g0.x);
    vec3 bottom = mix(textureLod(u_source, vec2(high.x, low.y), u_level).rgb,
                      textureLod(u_source, low, u_level).rgb, g0.x);
    return mix(top, bottom, g0.y);
}

void main() {
    vec2 q = v_place;
    vec2 bend = vec2(u_bend.x * q.y + u_bend.y * q.x, u_bend.z * q.x + u_bend.w * q.y);
    vec3 c = cubic(v_uv + bend * (q.x + q.y));
    float d = dot(q, q);
    c *= 1.0 - u_vignette * 3.0 * d * d;  // the middle stays as it was dreamt
    // Fetched by number: a filtered, repeating sample would cost as much as the picture itself.
    ivec2 grain = (ivec2(gl_FragCoord.xy) + u_place) & (textureSize(u_grain, 0) - 1);
    vec2 noise = texelFetch(u_grain, grain, 0).rg - 0.5;
    // Silver shows most in the middle tones; clear film and full black hide it.
    float y = dot(c, vec3(0.3, 0.6, 0.1));
    c += noise.r * u_grain_amount * (0.12 + y * (3.5 - 3.4 * y));
    // Half a step of noise either way hides the steps of 8 bits and leaves true black black.
    colour = vec4(c * u_fade + noise.g * (0.998 / 255.0), 1.0);
}
