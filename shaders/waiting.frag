in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_field;
uniform float u_time;
uniform float u_ratio;
void main() {
    vec2 p = vec2(v_uv.x * u_ratio, v_uv.y);
    vec2 w = texture(u_field, p * 0.3 + u_time * 0.004).rg - 0.5;
    float n = texture(u_field, p * 0.25 + w * 0.4 - u_time * 0.003).b;
    colour = vec4(mix(vec3(0.02, 0.03, 0.06), vec3(0.7, 0.6, 0.5), smoothstep(0.2, 0.9, n)), 1.0);
}
