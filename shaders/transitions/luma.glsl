// The lights of the new picture come first, burning through; its darkness settles last.
uniform float softness;  // = 0.30
uniform float glow;      // = 0.35
uniform float veil;      // = 0.14

vec4 transition(vec2 uv) {
    vec3 a = getFromColor(uv).rgb, b = getToColor(uv).rgb;
    // The eye's scale, near enough: the square root of light. A little cloud keeps flat areas from popping.
    float grey = sqrt(clamp(dot(mix(a, b, 0.75), vec3(0.2126, 0.7152, 0.0722)), 0.0, 1.0));
    float n = textureLod(u_field, vec2(uv.x * ratio, uv.y) * 0.5, 0.0).r;
    float order = 1.0 - (0.80 * grey + 0.20 * n);
    float front = progress * (1.0 + 2.0 * softness) - softness;
    float here = smoothstep(order - softness, order + softness, front);
    float edge = here * (1.0 - here) * 4.0;
    // Not every picture has lights: a breath of all of the new one comes before them.
    float breath = veil * (1.0 - pow(1.0 - progress, 8.0));
    here = 1.0 - (1.0 - here) * (1.0 - breath);
    return vec4(mix(a, b, here) * (1.0 + glow * edge * grey), 1.0);
}
