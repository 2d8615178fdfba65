// What a transition may call: the convention of gl-transitions, in linear light.
// uv (0, 0) is the lower left, (1, 1) the upper right; ratio is width over height.
uniform sampler2D u_from;
uniform sampler2D u_to;
// Ours: four even cloud fields, seamless; a quarter of each lies below 0.25. Read it with textureLod: left to
// choose a level by itself, the sampler changes its mind from one frame to the next, and it shows.
uniform sampler2D u_field;
uniform float progress;
uniform float ratio;

vec4 getFromColor(vec2 uv) { return texture(u_from, uv); }
vec4 getToColor(vec2 uv) { return texture(u_to, uv); }
