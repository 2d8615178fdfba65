// What several shaders share. #include "common.glsl"

const vec3 LUMA = vec3(0.2126, 0.7152, 0.0722);  // Rec. 709 luminance of linear light

float luminance(vec3 linear_rgb) { return dot(linear_rgb, LUMA); }

// IEC 61966-2-1. The way back is the sampler's: keyframes are sRGB textures.
vec3 to_srgb(vec3 c) {
    // The power 1/2.4 as a sum of roots, a third of its cost and within a quarter of an 8-bit step.
    c = max(c, 0.0);
    vec3 r2 = sqrt(c), r4 = sqrt(r2), r8 = sqrt(r4);
    vec3 curve = 0.662002687 * r2 + 0.684122060 * r4 - 0.323583601 * r8 - 0.0225411470 * c;
    return mix(c * 12.92, curve, greaterThan(c, vec3(0.0031308)));
}
