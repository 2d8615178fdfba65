// One picture fades into the other, in linear light, as two projectors do.
vec4 transition(vec2 uv) { return mix(getFromColor(uv), getToColor(uv), progress); }
