// Linear light to the sRGB curve and nothing else: what is shown with the look switched off.
#include "common.glsl"
#include "picture.glsl"
out vec4 colour;
uniform float u_fade;  // 1 shows, 0 is black
void main() { colour = vec4(to_srgb(picture()) * u_fade, 1.0); }
