// What several shaders share. #include "common.glsl"

const vec3 LUMA = vec3(0.2126, 0.7152, 0.0722);  // Rec. 709 luminance of linear light

float luminance(vec3 linear_rgb) { return dot(linear_rgb, LUMA); }

// IEC 61966-2-1, both ways.
vec3 to_linear(vec3 c) {
    return mix(c / 12.92, pow((max(c, 0.0) + 0.055) / 1.055, vec3(2.4)), greaterThan(c, vec3(0.04045)));
}
vec3 to_srgb(vec3 c) {
    c = max(c, 0.0);
    return mix(c * 12.92, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, greaterThan(c, vec3(0.0031308)));
}
