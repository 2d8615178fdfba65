// The lights of the new picture come first, burning through; its darkness settles last.
uniform float softness;  // = 0.22
uniform float glow;      // = 0.35

vec4 transition(vec2 uv) {
    vec3 a = getFromColor(uv).rgb, b = getToColor(uv).rgb;
    // The eye's scale, near enough: the square root of light. A little cloud keeps flat areas from popping.
    float grey = sqrt(clamp(dot(mix(a, b, 0.75), vec3(0.2126, 0.7152, 0.0722)), 0.0, 1.0));
    float n = textureLod(u_field, vec2(uv.x * ratio, uv.y) * 0.5, 0.0).r;
    float order = 1.0 - (0.80 * grey + 0.20 * n);
    // Few pictures have full white: the front hurries to where their lights are.
    float front = pow(progress, 0.45) * (1.0 + 2.0 * softness) - softness;
    float here = smoothstep(order - softness, order + softness, front);
    float edge = here * (1.0 - here) * 4.0;
    return vec4(mix(a, b, here) * (1.0 + glow * edge * grey), 1.0);
}
