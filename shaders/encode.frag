// Linear light to the sRGB curve and nothing else: what is shown with the look switched off.
#include "common.glsl"
out vec4 colour;
uniform sampler2D u_source;
uniform float u_fade;  // 1 shows, 0 is black
void main() { colour = vec4(to_srgb(texelFetch(u_source, ivec2(gl_FragCoord.xy), 0).rgb) * u_fade, 1.0); }
