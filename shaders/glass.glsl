// A lit glass sphere with a picture in it, by formula: what shelves.frag and inside.frag share.
// p is the place on its disc, 1 at the rim; everything is in linear light. #include "glass.glsl"
#include "common.glsl"

const vec3 COOL = vec3(0.42, 0.62, 1.00);  // the hall's light, from above
const vec3 WARM = vec3(1.00, 0.66, 0.36);  // what comes back from the board below

// Where in the picture (-1/2 to 1/2) the eye looks through the glass: drawn out in the middle, pressed at the rim.
vec2 lens(vec2 p, float r2) { return p * (0.345 + r2 * (0.055 + 0.095 * r2)); }

// inner: the picture there; mean: its colour on the whole; around: the light that falls on it from others; light: how
// strongly it shines, 0 to 1.
vec3 glass(vec2 p, float r2, vec3 inner, vec3 mean, vec3 around, float light) {
    float z = sqrt(max(1.0 - r2, 0.0));
    float edge = 1.0 - z;
    float rim = edge * edge;
    float up = 0.5 + 0.5 * p.y;
    // The picture floats in the middle and is lit from within; towards the rim it turns into its own glow, and the
    // glass gets deep.
    float depth = r2 * r2;
    inner *= 1.45 - 0.40 * r2 - 0.55 * luminance(inner);  // what is white already gets no whiter
    vec3 c = mix(inner + mean * (0.12 * z), mean * 0.55, 0.80 * depth) * (1.0 - 0.55 * depth);
    c *= light;
    // Light gathered on the far side, opposite to where the lamp is.
    float gather = max(dot(p, vec2(0.50, -0.72)) - 0.10, 0.0) * z;
    c += (mean * 1.6 + 0.03) * gather * gather * 3.0 * light;
    // The glass itself: a cool sky above, a warm board below, and the others' light where it turns away.
    c += (COOL * up * up * 0.11 + WARM * (1.0 - up) * 0.07 + around * 0.20 + mean * light * 0.16) * rim;
    // Lamps in it: a soft window.
    vec2 window = p - vec2(-0.40, 0.50);
    float far = dot(window, window) + 0.5 * window.x * window.y;
    float spot = 1.0 / (1.0 + 60.0 * far);
    c += vec3(0.90, 0.95, 1.00) * spot * spot * (0.12 + 0.42 * light);
    return c;
}

// Colour taken out, and with it most of what is to be seen in the glass: light of many strengths is left.
vec3 inside_without(vec3 inner, vec3 mean, float colour) { return mix(mean, inner, 0.30 + 0.70 * colour); }

vec3 without(vec3 c, float colour) {
    float y = luminance(c);
    return mix(vec3(y * (0.72 + 0.55 * min(y, 1.0))), c, colour);
}
