// One sphere of the shelves: a square that faces the camera, as large as its disc and a pixel more.
in vec4 i_place;  // right, up and ahead of the camera, and radius
in vec4 i_tile;   // its picture in the atlas: left, bottom, size; how far it has come in
in vec4 i_light;  // the picture's mean colour, and how strongly it shines
in vec4 i_turn;   // cosine and sine of how far it has rolled; what the dark between leaves of it
uniform vec2 u_lens;    // how a length beside becomes one on screen, -1 to 1
uniform float u_lines;  // height of what is drawn into, pixels
uniform sampler2D u_glow;  // the light around the spheres
out vec2 v_p;
flat out vec4 v_tile;
flat out vec4 v_light;
flat out vec4 v_turn;
flat out vec3 v_around;  // the light of the others that falls on it

void main() {
    float radius_px = 0.5 * i_place.w * u_lens.y * u_lines / i_place.z;
    // Of most spheres, which are far, the corners cost more than the pixels: a triangle around the disc, its last
    // corner twice. Of the others the pixels: a square.
    int n = gl_VertexID;
    vec2 corner = radius_px > 9.0 ? vec2(n & 1, n >> 1) * 2.0 - 1.0
        : n == 0 ? vec2(0.0, 2.0) : vec2(n == 1 ? -1.7320508 : 1.7320508, -1.0);
    v_p = corner * (1.0 + 1.0 / radius_px);
    v_tile = i_tile;
    v_light = i_light;
    v_turn = vec4(i_turn.xyz, radius_px);
    v_around = textureLod(u_glow, i_place.xy * u_lens / i_place.z * 0.5 + 0.5, 0.0).rgb;
    gl_Position = vec4((i_place.xy + v_p * i_place.w) * u_lens, 0.0, i_place.z);
}
