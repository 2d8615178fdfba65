// The picture on stage in linear light, as Blend hands it on: one texture becoming another. Keyframes are sRGB
// textures, and the fetch decodes. #include "picture.glsl"
in vec2 v_uv;
uniform sampler2D u_a;
uniform sampler2D u_b;
uniform float u_mix;

vec3 picture() { return mix(texture(u_a, v_uv).rgb, texture(u_b, v_uv).rgb, u_mix); }
