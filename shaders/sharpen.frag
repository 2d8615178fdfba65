// Half of the upsampler, at the keyframe's own size. The other half (screen.frag) draws with a cubic
// B-spline, which never rings or shows its grid but blurs by [1 4 6 4 1]-like weights; this undoes the
// blur by the first term of its inverse. Together: at 0 a soft B-spline, near 1 the interpolating
// spline, sharper than Catmull-Rom, for four texture taps per screen pixel instead of sixteen.
out vec4 colour;
uniform sampler2D u_source;
uniform float u_amount;
uniform sampler2D u_grain;  // g is even noise
uniform ivec2 u_place;      // where the noise lies in this frame
uniform float u_step;       // 1/255 if what is drawn into has 8 bits, else 0

void main() {
    ivec2 last = textureSize(u_source, 0) - 1;
    ivec2 at = ivec2(gl_FragCoord.xy);
    ivec2 low = max(at - 1, 0), high = min(at + 1, last);
    vec3 middle = texelFetch(u_source, at, 0).rgb;
    vec3 cross = texelFetch(u_source, ivec2(low.x, at.y), 0).rgb
               + texelFetch(u_source, ivec2(high.x, at.y), 0).rgb
               + texelFetch(u_source, ivec2(at.x, low.y), 0).rgb
               + texelFetch(u_source, ivec2(at.x, high.y), 0).rgb;
    vec3 sharp = middle + (4.0 * middle - cross) * (u_amount / 6.0);
    // Steps of 8 bits would stand large on the screen: noise before rounding keeps slow skies smooth.
    float noise = texelFetch(u_grain, (at + u_place) & (textureSize(u_grain, 0) - 1), 0).g - 0.5;
    colour = vec4(clamp(sharp + noise * 0.998 * u_step, 0.0, 1.0), 1.0);
}
