// A picture at another size by the sampler alone. Which part of it shows is set where v_uv is made.
// Nothing is done to what it gives: on its shorter way (gl.lay_blue_first) Mesa 22.3 exchanges red and blue of
// vec4(texture(...).rgb, 1.0).
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_source;
void main() { colour = texture(u_source, v_uv); }
