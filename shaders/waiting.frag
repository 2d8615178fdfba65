// Before the first keyframe: a slow light behind cloud that is nearly paper, nearly a sky. Nothing in it
// is a picture yet. Drawn at the keyframe's size, in linear light.
#include "common.glsl"
in vec2 v_place;
out vec4 colour;
uniform sampler2D u_field;  // four even cloud fields, seamless
uniform float u_time;
uniform float u_ratio;

void main() {
    vec2 p = v_place * vec2(u_ratio, 1.0);
    float t = u_time;

    // Slow swells bend the cloud; only the last reading has fine grain, so nothing curdles into marble.
    vec2 swell = vec2(sin(p.y * 3.1 + t * 0.061) + 0.5 * sin(p.x * 4.3 - t * 0.043 + 1.0),
                      sin(p.x * 2.7 - t * 0.052 + 2.0) + 0.5 * sin(p.y * 5.1 + t * 0.047));
    vec2 at = p * 0.30 + swell * 0.022 + vec2(0.0040, -0.0011) * t;
    vec2 drawn = textureLod(u_field, at * 0.7 + vec2(0.0, 0.0017) * t, 3.0).ba - 0.5;
    at += drawn * 0.07;
    float body = textureLod(u_field, at, 0.0).r;
    float veil = textureLod(u_field, at * vec2(0.62, 0.95) + swell * 0.02 - vec2(0.0052, 0.0008) * t, 0.0).g;
    // The same cloud seen a little nearer the light: the difference is its relief.
    float lit = body - textureLod(u_field, at + vec2(-0.013, 0.024), 0.0).r;

    // A lamp that wanders behind it all, and breathes.
    vec2 lamp = vec2(0.36 * sin(t * 0.071 + 0.6), 0.06 + 0.12 * sin(t * 0.053 + 2.1));
    vec2 from = p - lamp;
    float near = dot(from, from * vec2(0.55, 1.25));
    float glow = exp(-near * 7.0) * (0.92 + 0.08 * sin(t * 0.37));
    float haze = exp(-near * 2.6);

    float mass = smoothstep(0.13, 0.92, body * 0.76 + veil * 0.34 - 0.03 + lit * 0.35);
    vec3 night = vec3(0.012, 0.020, 0.048);
    vec3 slate = vec3(0.060, 0.088, 0.165);
    vec3 rose = vec3(0.520, 0.215, 0.165);
    vec3 amber = vec3(0.900, 0.480, 0.210);
    vec3 cream = vec3(1.000, 0.860, 0.640);
    vec3 sky = mix(night, slate, 0.25 + 0.75 * haze) + rose * 0.10 * haze * haze + amber * 0.34 * glow * glow;
    vec3 cloud = mix(slate * 1.5, mix(rose, cream, smoothstep(0.15, 0.9, glow + 0.25 * mass)),
                     smoothstep(0.05, 0.95, haze * (0.45 + 0.55 * mass)));
    cloud *= 0.66 + 0.62 * mass * haze + clamp(lit * 1.7, -0.4, 0.55);
    // Thin edges let the lamp through.
    float edge = mass * (1.0 - mass) * 4.0;
    vec3 c = mix(sky, cloud, smoothstep(0.03, 0.80, mass)) + amber * edge * (0.06 + 0.26 * glow) * haze;
    colour = vec4(c, 1.0);
}
