// A new sheet is drawn over the old one: its edge is a deckle, thin, torn, with fibres standing out of it,
// and it throws a shadow.
uniform float angle;   // = 0.35
uniform float ragged;  // = 0.20
uniform float margin;  // = 0.045
uniform float shadow;  // = 0.75

vec4 transition(vec2 uv) {
    vec2 p = vec2(uv.x * ratio, uv.y);
    vec2 along = vec2(cos(angle), sin(angle));
    float big = textureLod(u_field, p * 0.16 + 0.31, 0.0).g - 0.5;
    float mid = textureLod(u_field, p * 0.63, 0.0).b - 0.5;
    // Fibres: the same noise drawn out one way, then the other.
    float fibre = textureLod(u_field, vec2(dot(p, along) * 0.7, dot(p, vec2(-along.y, along.x)) * 3.1), 0.0).a - 0.5;
    float felt = textureLod(u_field, p * vec2(2.3, 1.7) + fibre * 0.03, 0.0).r - 0.5;
    float tear = ragged * big + 0.30 * ragged * mid + 0.035 * fibre;

    // Ragged and shadowed from the start, the sheet would have to begin so far outside that nobody saw it come:
    // both grow while its first corner is laid.
    float grown = smoothstep(0.0, 0.12, progress);
    tear *= grown;

    // Signed distance to the edge, in picture heights: above 0 the new sheet lies here.
    float far = dot(vec2(ratio, 1.0), along);
    float reach = 0.5 * ragged * 1.3 + 0.02 + 0.16;
    float d = mix(-0.03, far + reach, pow(progress, 0.86)) - dot(p, along) + tear;

    float core = margin * (0.55 + 0.9 * (mid + 0.5));          // how far the printed face is torn back
    float sheet = smoothstep(-0.004, 0.004, d + 0.010 * felt);
    float face = smoothstep(core * 0.75, core * 1.1, d + 0.022 * felt + 0.014 * fibre);
    vec3 paper = vec3(0.86, 0.80, 0.69) * (0.80 + 0.40 * felt + 0.30 * fibre);
    paper *= 0.86 + 0.14 * smoothstep(0.0, core, d);
    float lift = 1.0 - 0.22 * exp(-max(d - core, 0.0) * 26.0) * step(0.0, d);

    vec3 under = getFromColor(uv).rgb;
    float dark = grown * shadow * exp(-max(-d, 0.0) * 15.0) * smoothstep(-0.16, -0.02, d);
    under *= 1.0 - dark;
    vec3 over = mix(paper, getToColor(uv).rgb * lift, face);
    return vec4(mix(under, over, sheet), 1.0);
}
