// One mark of the map: a square around a place, or around the way from one place to the next.
in vec4 i_line;    // from where to where, pixels from the middle
in vec4 i_shape;   // radius in pixels; what it is; how strongly it shines; how much of its picture has come in
in vec4 i_colour;  // linear; how much of it there is at the beginning of the line
in vec4 i_tile;    // its picture in the atlas: left, bottom, size; how much of it there is at the line's end
uniform vec2 u_half;  // half of what is drawn into, pixels
out vec2 v_at;     // pixels from the line's beginning, along it and across
flat out float v_long;
flat out vec4 v_shape;
flat out vec4 v_colour;
flat out vec4 v_tile;

void main() {
    vec2 way = i_line.zw - i_line.xy;
    v_long = length(way);
    vec2 along = v_long > 0.001 ? way / v_long : vec2(1.0, 0.0);
    float reach = i_shape.x + 1.0;
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
    v_at = mix(vec2(-reach), vec2(v_long + reach, reach), corner);
    v_shape = i_shape;
    v_colour = i_colour;
    v_tile = i_tile;
    vec2 place = i_line.xy + along * v_at.x + vec2(-along.y, along.x) * v_at.y;
    gl_Position = vec4(place / u_half, 0.0, 1.0);
}
