// A picture at another size by the sampler alone. Which part of it shows is set where v_uv is made.
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_source;
void main() { colour = vec4(texture(u_source, v_uv).rgb, 1.0); }
