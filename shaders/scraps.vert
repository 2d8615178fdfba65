// One scrap of paper over the picture: a rectangle about its tile, turned. It takes its light from the picture under it.
in vec4 i_place;  // its middle and half its size, pixels from the lower left
in vec4 i_turn;   // cosine and sine of its angle; how near the surface it is, 0..1; layer of the atlas
in vec4 i_tile;   // what the tile takes of its layer, right and up; half a texel
in vec3 i_stock;  // the colour of its paper, as on screen
uniform vec2 u_screen;  // pixels
uniform vec4 u_turn = vec4(1.0, 0.0, 0.0, 1.0);  // from the screen to the picture, as look.py has it
uniform vec2 u_shift = vec2(0.5);
uniform float u_upright;  // -1 where the picture lies top row first
uniform float u_gain;     // exposure as a factor
uniform sampler2D u_a;
uniform sampler2D u_b;
uniform float u_mix;
out vec3 v_uv;
flat out vec3 v_paper;
flat out vec3 v_water;  // the picture's own light there
flat out float v_near;

vec3 under(vec2 at_px) {
    vec2 uv = mat2(u_turn.xy, u_turn.zw) * (at_px / u_screen - 0.5) + u_shift;
    uv.y = 0.5 + (uv.y - 0.5) * u_upright;
    return mix(textureLod(u_a, uv, 0.0).rgb, textureLod(u_b, uv, 0.0).rgb, u_mix);
}

void main() {
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    v_uv = vec3(mix(i_tile.zw, i_tile.xy - i_tile.zw, corner * 0.5 + 0.5), i_turn.w);
    vec3 light = vec3(0.0);
    for (int k = 0; k < 25; k++) light += under(i_place.xy + vec2(k % 5 - 2, k / 5 - 2) * i_place.zw * vec2(0.6, 1.2));
    v_water = sqrt(max(light * u_gain * 0.04, 0.0));  // near the curve of the screen
    float level = dot(v_water, vec3(0.2126, 0.7152, 0.0722));
    vec3 hue = clamp(v_water / max(level, 0.06), 0.55, 1.7);
    v_near = i_turn.z;
    v_paper = i_stock * mix(vec3(1.0), hue, 0.16 + 0.34 * (1.0 - v_near)) * mix(0.56, 1.0, smoothstep(0.0, 0.72, level));
    vec2 p = corner * i_place.zw;
    p = i_place.xy + vec2(i_turn.x * p.x - i_turn.y * p.y, i_turn.y * p.x + i_turn.x * p.y);
    gl_Position = vec4(p / u_screen * 2.0 - 1.0, 0.0, 1.0);
}
