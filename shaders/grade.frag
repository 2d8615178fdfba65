// Exposure, contrast, saturation and a soft shoulder in linear light; out comes the sRGB curve.
// It runs at the keyframe's own size: a curve per pixel costs far less before upsampling than after.
#include "common.glsl"
#include "picture.glsl"
out vec4 colour;
uniform float u_gain;        // exposure as a factor
uniform float u_contrast;    // 1 leaves as is
uniform float u_saturation;  // 1 leaves as is

uniform float u_white;       // the brightest there can be after exposure and contrast, at least 1

const float PIVOT = 0.18;    // middle grey stays where it is
const float KNEE = 0.6;      // below it the shoulder does nothing

vec3 shoulder(vec3 c) {
    // Reinhard's curve with a white point, on what lies above the knee: white becomes exactly 1, and
    // with nothing pushed beyond 1 it is a straight line.
    vec3 over = max(c - KNEE, 0.0) / (1.0 - KNEE);
    float white = (u_white - KNEE) / (1.0 - KNEE);
    return min(c, KNEE) + (1.0 - KNEE) * over * (1.0 + over / (white * white)) / (1.0 + over);
}

void main() {
    vec3 c = max(picture(), 0.0) * u_gain;
    c = max(mix(vec3(luminance(c)), c, u_saturation), 0.0);
    c = PIVOT * pow(c / PIVOT, vec3(u_contrast));
    colour = vec4(to_srgb(shoulder(c)), 1.0);
}
