// The numbers that a picture comes of, as washes of colour on paper: the latent or the noise, one ink a channel, and in
// register with the picture, so that one can dissolve into the other. Above zero a number takes its ink, the more the
// larger; at and below zero the paper stays bare. Drawn at the keyframe's size, in linear light.
#include "picture.glsl"
in vec2 v_place;
out vec4 colour;
uniform sampler2D u_latent;  // layers of (w, h) cells, one below the other, top row first; channel c lies in layer
uniform sampler2D u_noise;   // c mod LAYERS, component c / LAYERS; 0..1, a half is zero
uniform vec2 u_cells;        // (w, h)
uniform int u_channels;      // 1..16
uniform vec3 u_shares;       // of picture, latent and noise; they sum to 1

const int LAYERS = 4;
const vec3 PAPER = vec3(0.92, 0.895, 0.835);
const float STRENGTH = 1.0;  // of the inks
const float CRISP = 0.17;    // half the width of a block's edge, in cells
// Layers lie a little beside one another, as sheets of tissue do: so that all the numbers of a cell can be seen.
const vec2 BESIDE[LAYERS] = vec2[LAYERS](vec2(-0.3, -0.1), vec2(0.1, -0.3), vec2(0.3, 0.1), vec2(-0.1, 0.3));
// OKLCh lightness 0.74, chroma 0.115, five sixteenths of the circle from each to the next.
const vec3 INKS[16] = vec3[16](
    vec3(0.826, 0.270, 0.219), vec3(0.220, 0.509, 0.187), vec3(0.181, 0.425, 0.887), vec3(0.807, 0.259, 0.349),
    vec3(0.368, 0.462, 0.110), vec3(0.085, 0.477, 0.792), vec3(0.728, 0.266, 0.509), vec3(0.528, 0.404, 0.077),
    vec3(0.037, 0.518, 0.639), vec3(0.605, 0.288, 0.678), vec3(0.674, 0.347, 0.084), vec3(0.043, 0.540, 0.466),
    vec3(0.458, 0.325, 0.819), vec3(0.779, 0.300, 0.131), vec3(0.107, 0.537, 0.308), vec3(0.311, 0.372, 0.896));

// Four numbers of the cell there: blocks with soft edges, softer the less of the numbers is shown.
vec4 cell(sampler2D numbers, int layer, float soft) {
    vec2 at = vec2(v_place.x + 0.5, 0.5 - v_place.y) * u_cells - 0.5 + BESIDE[layer];
    vec2 whole = floor(at);
    vec2 part = clamp((at - whole - 0.5) / (2.0 * soft) + 0.5, 0.0, 1.0);
    at = clamp(whole + part * part * (3.0 - 2.0 * part), vec2(0.0), u_cells - 1.0) + 0.5;
    return texture(numbers, vec2(at.x / u_cells.x, (at.y + float(layer) * u_cells.y) / (u_cells.y * float(LAYERS))));
}

vec3 washes(sampler2D numbers, float share) {
    vec3 c = PAPER;
    float soft = mix(0.5, CRISP, smoothstep(0.0, 1.0, share));
    float strength = STRENGTH / sqrt(max(float(u_channels) / 4.0, 1.0));
    int apart = max(16 / u_channels, 1);
    for (int layer = 0; layer < LAYERS; layer++) {
        vec4 four = cell(numbers, layer, soft) * 2.0 - 1.0;
        for (int k = 0; k < 4; k++) {
            int channel = k * LAYERS + layer;
            if (channel >= u_channels) break;
            float much = clamp(four[k] * strength, 0.0, 0.95);
            c *= mix(vec3(1.0), INKS[channel * apart], much);
        }
    }
    return c;
}

void main() {
    vec3 c = vec3(0.0);
    if (u_shares.x > 0.0) c += u_shares.x * picture();
    if (u_shares.y > 0.0) c += u_shares.y * washes(u_latent, u_shares.y);
    if (u_shares.z > 0.0) c += u_shares.z * washes(u_noise, u_shares.z);
    colour = vec4(c, 1.0);
}
