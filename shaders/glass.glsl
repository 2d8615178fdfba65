// A lit glass sphere with a picture in it, by formula: what shelves.frag and inside.frag share.
// p is the place on its disc, 1 at the rim; everything is in linear light. #include "glass.glsl"
#include "common.glsl"

const vec3 COOL = vec3(0.42, 0.62, 1.00);  // the hall's light, from above
const vec3 WARM = vec3(1.00, 0.66, 0.36);  // what comes back from the board below

// Where in the picture (-1/2 to 1/2) the eye looks through the glass: drawn out in the middle, pressed at the rim.
vec2 lens(vec2 p, float r2) { return p * (0.345 + r2 * (0.055 + 0.095 * r2)); }

// inner: the picture there; mean: its colour on the whole; light: how strongly it shines, 0 to 1.
vec3 glass(vec2 p, float r2, vec3 inner, vec3 mean, float light) {
    float z = sqrt(max(1.0 - r2, 0.0));
    float edge = 1.0 - z;
    float rim = edge * edge;
    float up = 0.5 + 0.5 * p.y;
    // The picture floats in the middle; towards the rim it turns into its own glow, and the glass gets deep.
    float depth = r2 * r2;
    vec3 c = mix(inner * 1.12, mean * 0.50, 0.85 * depth) * (1.0 - 0.50 * depth);
    c *= light;
    // Light gathered on the far side, opposite to where the lamp is.
    float gather = max(dot(p, vec2(0.50, -0.72)) - 0.10, 0.0) * z;
    c += (mean * 1.5 + 0.03) * gather * gather * 2.6 * light;
    // The glass itself: a cool sky above, a warm board below, and a bright line where it turns away.
    c += (COOL * up * up * 0.20 + mix(WARM, mean * 2.0, 0.55) * (1.0 - up) * 0.15 * (0.2 + light)) * rim;
    // Lamps in it: a soft window and its small companion.
    vec2 window = p - vec2(-0.40, 0.50);
    float far = dot(window, window) + 0.5 * window.x * window.y;
    float spot = 1.0 / (1.0 + 55.0 * far);
    c += vec3(0.90, 0.95, 1.00) * spot * spot * (0.16 + 0.30 * light);
    return c;
}
