// Two keyframes, one becoming the other in linear light. The textures are sRGB: the sampler decodes.
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_a;
uniform sampler2D u_b;
uniform float u_mix;
void main() {
    // Keyframes are uploaded top row first; GL counts from the bottom.
    vec2 uv = vec2(v_uv.x, 1.0 - v_uv.y);
    colour = vec4(mix(texture(u_a, uv).rgb, texture(u_b, uv).rgb, u_mix), 1.0);
}
