// A picture of text laid over what is there; its colours are multiplied by its alpha already.
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_text;
void main() { colour = texture(u_text, vec2(v_uv.x, 1.0 - v_uv.y)); }
