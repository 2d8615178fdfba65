// Scraps of paper with a few words of type, all in one call (scraps.vert). As on screen, alpha multiplied in.
in vec3 v_uv;
flat in vec3 v_paper;
flat in vec3 v_water;
flat in float v_near;
out vec4 colour;
uniform sampler2DArray u_atlas;  // ink, paper, shade and shadow (paper.py)
uniform float u_opacity;
uniform float u_fade;  // of a blackout

void main() {
    vec4 t = textureLod(u_atlas, v_uv, 0.0);
    vec3 c = v_paper * (1.0 + 1.15 * (t.b - 0.5));
    c = mix(c, v_paper * 0.09, t.r * 0.93);
    c = mix(v_water, c, 0.72 + 0.28 * v_near);  // deeper down there is water over it
    float cover = t.g * u_opacity * smoothstep(0.0, 0.85, v_near);
    float shadow = t.a * u_opacity * 0.46 * v_near * v_near * (1.0 - cover);
    colour = vec4(c * cover * u_fade, cover + shadow);
}
