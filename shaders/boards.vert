// The shelves themselves: strips along the aisle, each between two lines that run beside its middle.
in vec4 i_aisle;  // where the aisle's middle is: x, z, and the direction of its way
in float i_s;     // how far along it that is
in vec4 i_lines;  // aside and height of the one line and of the other
in vec3 i_board;  // board, as the light's texture counts, on either line; what it is
uniform vec3 u_eye;
uniform mat3 u_axes;     // columns: right, up, ahead
uniform vec2 u_lens;
uniform float u_lines;   // height of what is drawn into, pixels
uniform vec2 u_columns;  // first column of the light's texture, and how many there are
uniform vec2 u_pitch;    // length of a column; boards in the texture
out vec2 v_light;        // where in the texture
out float v_across;      // 0 on the one line, 1 on the other
out float v_ahead;
out float v_faint;
flat out float v_kind;

void main() {
    bool other = (gl_VertexID & 1) == 1;
    vec2 line = other ? i_lines.zw : i_lines.xy;
    // A board's edge is never thinner than two pixels, or it would shimmer; it gets fainter instead.
    float ahead = max(dot(vec3(i_aisle.x, line.y, i_aisle.y) - u_eye, u_axes[2]), 0.1);
    float thick = abs(i_lines.y - i_lines.w), least = 4.0 * ahead / (u_lens.y * u_lines);
    v_faint = 1.0;
    if (i_board.z < 1.5) {
        v_faint = min(thick / least, 1.0);
        if (other) line.y -= max(least - thick, 0.0);
    }
    vec3 place = vec3(i_aisle.x + line.x * i_aisle.w, line.y, i_aisle.y - line.x * i_aisle.z);
    vec3 seen = (place - u_eye) * u_axes;
    v_light = vec2((i_s / u_pitch.x - u_columns.x + 0.5) / u_columns.y, (other ? i_board.y : i_board.x) / u_pitch.y);
    v_across = other ? 1.0 : 0.0;
    v_ahead = length(seen);
    v_kind = i_board.z;
    gl_Position = vec4(seen.xy * u_lens, 0.0, seen.z);
}
