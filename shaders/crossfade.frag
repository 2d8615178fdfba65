// A moving crossfade into a texture of its own: what transitions bend and freezing holds.
#include "picture.glsl"
out vec4 colour;
void main() { colour = vec4(picture(), 1.0); }
