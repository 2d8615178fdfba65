in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_source;
uniform vec4 u_view;
void main() { colour = vec4(texture(u_source, v_uv * u_view.xy + u_view.zw).rgb, 1.0); }
