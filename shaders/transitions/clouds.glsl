// Cloud gathers where the new picture will be and parts to show it, its thin edges lit.
uniform float scale;     // = 0.62
uniform float softness;  // = 0.16
uniform float billow;    // = 0.09
uniform float light;     // = 0.5

vec4 transition(vec2 uv) {
    vec2 p = vec2(uv.x * ratio, uv.y) * scale;
    p += (textureLod(u_field, p * 0.6 + vec2(0.0, progress * 0.05), 3.0).ba - 0.5) * 0.10;
    float n = textureLod(u_field, p + vec2(progress * 0.035, 0.0), 0.0).r;
    float front = pow(progress, 0.75) * (1.0 + 2.0 * softness) - softness;  // soon there, then unhurried
    float here = smoothstep(n - softness, n + softness, front);
    float edge = here * (1.0 - here) * 4.0;
    // Both pictures swell along the slope of the cloud while it passes over them.
    vec2 slope = vec2(textureLod(u_field, p + vec2(0.02, 0.0), 0.0).r, textureLod(u_field, p + vec2(0.0, 0.02), 0.0).r) - n;
    vec2 push = slope * billow * edge;
    vec3 a = getFromColor(uv + push * 1.5).rgb, b = getToColor(uv - push).rgb;
    vec3 c = mix(a, b, here);
    float lit = edge * edge * clamp(0.55 + 1.6 * (slope.y - slope.x), 0.0, 1.3);
    vec3 vapour = vec3(1.0, 0.93, 0.84) * (0.22 + 0.78 * max(dot(a, vec3(0.33)), dot(b, vec3(0.33))));
    return vec4(mix(c, vapour, clamp(lit * light, 0.0, 1.0)), 1.0);
}
