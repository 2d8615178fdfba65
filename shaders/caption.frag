// A caption: its ink, the darkness about it that makes it readable on any picture, and a line that shows the shares of
// what it names. Where the picture is dark already there is hardly any darkness to add. As on screen, alpha multiplied in.
in vec2 v_place;
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_text;  // ink; darkness; line; how far along the line
uniform vec3 u_shares;     // ends of the line's first part and of its second; 1 where there is a line
uniform float u_alpha;
uniform float u_fade;      // of a blackout
uniform vec4 u_middle;     // of what is drawn into: where its middle lies in the picture, and its size there
uniform vec2 u_reach;      // an em of the type, in the picture
uniform float u_gain;      // exposure as a factor
uniform sampler2D u_a;
uniform sampler2D u_b;
uniform float u_mix;

const vec3 INK = vec3(0.985, 0.970, 0.935);
const float DARK = 0.36;   // what a bright picture is brought down to about the letters, as on screen
const float LEAST = 0.20;

vec3 under(vec2 uv) { return mix(textureLod(u_a, uv, 0.0).rgb, textureLod(u_b, uv, 0.0).rgb, u_mix); }

void main() {
    vec4 t = texture(u_text, vec2(v_uv.x, 1.0 - v_uv.y));
    vec2 uv = u_middle.xy + v_place * u_middle.zw;
    vec3 c = under(uv) * 2.0 + under(uv + u_reach) + under(uv - u_reach)
        + under(uv + u_reach * vec2(1.0, -1.0)) + under(uv - u_reach * vec2(1.0, -1.0));
    float level = sqrt(max(dot(c, vec3(0.2126, 0.7152, 0.0722)) * u_gain / 6.0, 0.0));  // near the curve of the screen
    float dark = t.g * max(LEAST, 1.0 - DARK / max(level, DARK)) * u_alpha;
    vec2 part = clamp((u_shares.xy - t.a) * 90.0 + 0.5, 0.0, 1.0);  // ends a little soft
    float line = t.b * u_shares.z * (0.26 + 0.30 * part.y + 0.44 * part.x);
    float cover = max(t.r, line) * u_alpha;
    colour = vec4(INK * cover * u_fade, cover + dark * (1.0 - cover));
}
