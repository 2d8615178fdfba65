// Exposure, contrast, saturation and a soft shoulder in linear light; out comes the sRGB curve.
// It runs at the keyframe's own size: a curve per pixel costs far less before upsampling than after.
#include "common.glsl"
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_source;
uniform float u_gain;        // exposure as a factor
uniform float u_contrast;    // 1 leaves as is
uniform float u_saturation;  // 1 leaves as is

const float PIVOT = 0.18;    // middle grey stays where it is
const float KNEE = 0.8;      // below it the shoulder does nothing

vec3 shoulder(vec3 c) {
    // Above the knee light approaches 1 without reaching it, tangent to the straight part.
    vec3 over = max(c - KNEE, 0.0);
    return min(c, KNEE) + over * (1.0 - KNEE) / (over + 1.0 - KNEE);
}

void main() {
    vec3 c = max(texture(u_source, v_uv).rgb, 0.0) * u_gain;
    c = max(mix(vec3(luminance(c)), c, u_saturation), 0.0);
    if (u_contrast != 1.0) c = PIVOT * pow(c / PIVOT, vec3(u_contrast));
    colour = vec4(to_srgb(c), 1.0);
}
