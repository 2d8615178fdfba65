// Type over the finished program: one colour through a mask of ink, or a drawing with colours of its own, encoded and
// with alpha multiplied in.
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_ink;
uniform vec4 u_tone;   // its colour, and how much of it
uniform float u_drawn; // 1 for a drawing

void main() {
    vec4 ink = texture(u_ink, vec2(v_uv.x, 1.0 - v_uv.y));
    colour = (u_drawn > 0.5 ? ink : vec4(u_tone.rgb, 1.0) * ink.r) * u_tone.a;
}
