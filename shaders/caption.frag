// A caption: its ink, the darkness about it that makes it readable on any picture, and a line that shows the shares of
// what it names. As on screen, alpha multiplied in.
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_text;  // ink; darkness; line; how far along the line
uniform vec3 u_shares;     // ends of the line's first part and of its second; 0 where there is no line
uniform float u_alpha;
uniform float u_fade;      // of a blackout

const vec3 INK = vec3(0.985, 0.970, 0.935);

void main() {
    vec4 t = texture(u_text, vec2(v_uv.x, 1.0 - v_uv.y));
    vec2 part = clamp((u_shares.xy - t.a) * 90.0 + 0.5, 0.0, 1.0);  // ends a little soft
    float line = t.b * u_shares.z * (0.26 + 0.30 * part.y + 0.44 * part.x);
    float cover = max(t.r, line) * u_alpha;
    colour = vec4(INK * cover * u_fade, cover + t.g * u_alpha * (1.0 - cover));
}
