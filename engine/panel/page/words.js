/* The words of the page: what groups are called, and when a change lands. */

const GROUPS = {
  walk: ["The walk", "Where it goes, and how."],
  say: ["Phrases", "Words that come in, rise, are held and fade."],
  clouds: ["Clouds", "What is seen in something that holds none."],
  memory: ["Memory", "Places worth remembering, and the shelves they stand on."],
  blend: ["Between pictures", "How one gives way to another."],
  look: ["The look", "How the pictures are printed on the wall."],
  stage: ["The stage", "What the room sees."],
  show: ["The show", ""],
  tempo: ["Tempo", "Beats for what moves by itself."],
  lfo: ["Motion of its own", "Movement on top of where the hand puts things."],
  score: ["Score", "A list that plays by the clock."],
  preset: ["Presets, in detail", ""],
  cue: ["Cues, in detail", ""],
  take: ["Takes, in detail", ""],
  record: ["Recording, in detail", ""],
  model: ["The model", "What dreams the pictures. Most of it starts the dreamer again, behind the picture."],
  sound: ["Sound", ""],
  midi: ["MIDI", ""],
  osc: ["OSC", ""],
  window: ["Window", ""],
  film: ["Film", ""],
  program: ["Finished picture", ""],
  panel: ["This panel", ""],
};

const LANDS = {
  frame: "at once",
  keyframe: "with the next picture",
  palette: "once the new words are read",
  reload: "after the dreamer starts again",
  start: "when the show is next started",
};

/** A group's title and a line about it. */
export function groupWords(group) {
  return GROUPS[group] ?? [capital(group), ""];
}

/** Where a group stands among others; groups that nobody named come last. */
export function groupOrder(group) {
  const place = Object.keys(GROUPS).indexOf(group);
  return place < 0 ? 999 : place;
}

/** When a change is seen. */
export function landsWords(lands) {
  return LANDS[lands] ?? lands;
}

/** A parameter's short name: what follows its group. */
export function shortName(name) {
  const rest = name.includes(".") ? name.slice(name.indexOf(".") + 1) : name;
  return capital(rest.replaceAll("_", " ").replaceAll(".", " · "));
}

/** How long something has run. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${whole} s`;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
