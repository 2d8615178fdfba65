// Spheres swell in rows, shelf by shelf, each holding the new picture bent as in glass; when they touch,
// the glass goes flat.
uniform float rows;    // = 6.0
uniform float spread;  // = 0.50

float chance(vec2 cell) { return fract(sin(dot(cell, vec2(12.9898, 78.233))) * 43758.5453); }

vec4 transition(vec2 uv) {
    vec2 p = vec2(uv.x * ratio, uv.y) * rows;
    float t = pow(progress, 0.65);  // the first spheres come at once
    // No sphere grows past three quarters of a shelf, so only the four nearest centres can cover a point.
    // The one nearest in its own radii shows: where two meet, the seam is a clean arc.
    float r = 1.0, age = 0.0, radius = 1.0;
    vec2 centre = vec2(0.0);
    for (int k = 0; k < 4; k++) {
        float row = floor(p.y - 0.5) + float(k / 2);
        float stagger = mod(row, 2.0) * 0.5;
        vec2 cell = vec2(floor(p.x + stagger - 0.5) + float(k % 2), row);
        vec2 middle = cell + vec2(0.5 - stagger, 0.5);
        float wait = spread * (0.62 * (1.0 - (row + 0.5) / rows) + 0.38 * chance(cell) - 0.04);
        float a = clamp((t - wait) / (1.0 - spread), 0.0, 1.0);
        float size = 0.75 * a * (1.6 - 0.6 * a);
        float d = distance(p, middle) / max(size, 1e-4);
        if (a > 0.0 && d < r) { r = d; age = a; radius = size; centre = middle; }
    }
    vec3 old = getFromColor(uv).rgb, new = getToColor(uv).rgb;
    vec2 q = (p - centre) / max(radius, 1e-4);
    float z = sqrt(max(1.0 - r * r, 0.0));
    float glass = 1.0 - smoothstep(0.45, 1.0, age);
    // A ball lens turns the world outward: the middle shows more of it than its own place.
    vec2 bent = q * radius * (1.0 + glass * 1.4 * z * (1.0 - 0.5 * r));
    vec3 ball = getToColor((centre + bent) / rows / vec2(ratio, 1.0)).rgb;
    float light = 0.42 + 0.70 * max(dot(vec3(q, z), vec3(-0.41, 0.62, 0.67)), 0.0);
    float spark = pow(max(dot(vec3(q, z), vec3(-0.30, 0.46, 0.836)), 0.0), 48.0);
    ball = mix(ball, ball * light + 0.75 * spark, glass);
    float inside = r < 1.0 ? 1.0 - smoothstep(1.0 - 0.06 / max(radius, 0.06), 1.0, r) : 0.0;
    return vec4(mix(mix(old, ball, inside), new, smoothstep(0.86, 1.0, t)), 1.0);
}
