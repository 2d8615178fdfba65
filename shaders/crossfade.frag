// Two keyframes, one becoming the other in linear light. The textures are sRGB: the fetch decodes.
out vec4 colour;
uniform sampler2D u_a;
uniform sampler2D u_b;
uniform float u_mix;

void main() {
    // Keyframes are uploaded top row first; GL counts from the bottom.
    ivec2 at = ivec2(gl_FragCoord.x, float(textureSize(u_a, 0).y) - gl_FragCoord.y);
    colour = vec4(mix(texelFetch(u_a, at, 0).rgb, texelFetch(u_b, at, 0).rgb, u_mix), 1.0);
}
