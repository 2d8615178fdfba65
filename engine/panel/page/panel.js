/* The panel's page: puts the parts together. See engine/panel/protocol.py for what is said over the wire.

   desk.js knows values and who moves them, link.js the line to the show, controls.js one control for each parameter,
   sections.js the rest of the page, preview.js the picture. Nothing is loaded from anywhere but the show.
*/

import { row } from "./controls.js";
import { Desk } from "./desk.js";
import { Link } from "./link.js";
import { write } from "./make.js";
import { Preview } from "./preview.js";
import { fold, Sections } from "./sections.js";
import { duration, groupOrder, groupWords } from "./words.js";

const TOLD_MS = 6000;
const OPEN = ["walk", "look"]; // groups that are open at first
const byId = (id) => document.getElementById(id);

let toldTimer = 0;
let shape = ""; // of the show that is drawn: its parameters, without their values

/** Says one sentence, where eyes and screen readers find it, for a few seconds. */
function say(sentence) {
  write(byId("told"), sentence);
  byId("told").classList.add("shown");
  clearTimeout(toldTimer);
  toldTimer = setTimeout(() => {
    byId("told").classList.remove("shown");
    write(byId("told"), "");
  }, TOLD_MS);
}

const link = new Link({ said: hear, away });
const desk = new Desk(link, say);
const sections = new Sections(desk, say);
const preview = new Preview(byId("picture"), byId("no-picture"), link);

function hear(message) {
  const acts = { hello, values, lists, status, log, refused };
  acts[message.type]?.(message);
}

function hello(message) {
  const wasAway = !byId("away").hidden;
  const next = JSON.stringify(message.params.map(({ value, ...rest }) => rest));
  desk.begin(message.params);
  if (next !== shape) draw(message);
  else {
    sections.lists(message);
    byId("log").replaceChildren();
    sections.log(message.log ?? []);
  }
  shape = next;
  desk.showAll();
  write(byId("show"), message.show);
  document.title = `${message.show}, Pedesis`;
  byId("desk").disabled = false;
  byId("away").hidden = true;
  document.body.classList.remove("unready");
  status(message);
  preview.start();
  if (wasAway) say("The show is back.");
}

/** The page of a show with other parameters. Words that were typed and not sent yet are kept. */
function draw(message) {
  const drafts = [...document.querySelectorAll(".words")]
    .filter((words) => !words.querySelector(".drafting").hidden)
    .map((words) => words.querySelector("textarea"))
    .map((box) => [box.dataset.name, box.value]);
  desk.clear();
  sections.build(message);
  groups(message.params);
  bar();
  search();
  for (const [name, text] of drafts) {
    for (const box of document.querySelectorAll("textarea")) {
      if (box.dataset.name !== name) continue;
      box.value = text;
      box.dispatchEvent(new Event("input"));
    }
  }
}

function groups(params) {
  const rows = new Map();
  const fixed = [];
  for (const param of params) {
    if (param.group === "material") continue; // they have a part of their own
    if (param.lands === "start") fixed.push(row(param, desk, param.name));
    else rows.set(param.group, [...(rows.get(param.group) ?? []), row(param, desk)]);
  }
  const open = remembered("open") ?? OPEN;
  const made = [...rows]
    .sort(([one], [other]) => groupOrder(one) - groupOrder(other))
    .map(([group, those]) => fold(group, ...groupWords(group), those, open.includes(group)));
  const title = "Fixed while it plays";
  if (fixed.length) made.push(fold("fixed", title, "Change these in the show file; they hold when it is next started.", fixed, false));
  byId("groups").replaceChildren(...made);
  for (const group of made) group.addEventListener("toggle", rememberOpen);
}

function rememberOpen() {
  if (byId("search").value.trim()) return; // a search opens what it finds, for as long as it lasts
  remember("open", [...document.querySelectorAll("details[open]")].map((each) => each.dataset.group));
}

function bar() {
  byId("blackout").hidden = !desk.has("stage.blackout");
  byId("panic").hidden = !desk.has("show.panic");
  if (!desk.has("stage.blackout")) return;
  desk.watch("stage.blackout", {
    show(value) {
      byId("blackout").setAttribute("aria-pressed", Boolean(value));
      document.body.classList.toggle("dark-stage", Boolean(value));
    },
  });
}

/** Leaves what the words are found in: name, what it does, unit. */
function search() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const open = remembered("open") ?? OPEN;
  let found = 0;
  for (const group of document.querySelectorAll("details.group")) {
    let here = 0;
    for (const each of group.querySelectorAll(".param")) {
      const param = desk.params.get(each.dataset.name);
      const text = `${param.name} ${param.name.replace(/[._]/g, " ")} ${param.doc} ${group.textContent.slice(0, 60)}`.toLowerCase();
      const isFound = words.every((word) => text.includes(word));
      each.hidden = !isFound;
      here += isFound;
    }
    group.hidden = here === 0;
    group.open = words.length ? here > 0 : open.includes(group.dataset.group);
    found += here;
  }
  const sentence = found === 1 ? "One control" : `${found || "No"} controls`;
  write(byId("found"), words.length ? `${sentence} found.` : "");
}

function values(message) {
  desk.take(message.values);
}

function lists(message) {
  sections.lists(message);
}

function status(message) {
  const said = message.status ?? {};
  sections.status(said);
  const well = said.health?.ok ?? true;
  const parts = [];
  if (said.uptime_s !== undefined) parts.push(`on for ${duration(said.uptime_s)}`);
  if (said.recording) parts.push("recording");
  if (said.take) parts.push("taking down a take");
  if (said.blackout) parts.push("the stage is dark");
  write(byId("how"), well ? parts.join(" · ") : "Something needs care: see the log");
  byId("how").classList.toggle("ill", !well);
  byId("how").classList.toggle("recording", Boolean(said.recording || said.take));
  const rates = [];
  if (typeof said.keyframes === "number") rates.push(`${figure(said.keyframes)} pictures dreamt a second`);
  if (typeof said.fps === "number") rates.push(`${figure(said.fps)} shown`);
  if (typeof said.phase === "number") rates.push(`${said.phase.toFixed(2)} along the walk`);
  if (["starting", "loading", "restarting"].includes(said.dreamer)) rates.unshift("The dreamer is getting ready");
  write(byId("caption"), said.visiting ? `Visiting ${said.visiting}` : rates.join(", "));
  const why = well ? ["All is well."] : said.health.why;
  const lines = why.map((each) => Object.assign(document.createElement("p"), { textContent: each }));
  if (byId("health").textContent !== why.join("")) byId("health").replaceChildren(...lines);
  byId("health").classList.toggle("ill", !well);
}

function figure(number) {
  return number < 10 ? number.toFixed(1) : String(Math.round(number));
}

function log(message) {
  sections.log(message.lines);
}

function refused(message) {
  desk.refused(message.name);
  say(message.why);
}

/** The show cannot be reached: nothing can be changed, and that is said. */
function away(sentence) {
  for (const each of document.querySelectorAll(".fader")) each.fader?.drop();
  byId("desk").disabled = true;
  const drafts = document.querySelectorAll(".drafting:not([hidden]), .typed").length;
  write(byId("away"), sentence + (drafts ? " What you typed is kept here, not sent yet." : ""));
  byId("away").hidden = false;
  preview.stop();
  byId("told").classList.remove("shown");
  desk.showAll();
}

function remembered(key) {
  try {
    return JSON.parse(localStorage.getItem(`pedesis.${key}`));
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(`pedesis.${key}`, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing shows the page as it is at first
  }
}

function pressed(id, key, name, first) {
  const show = (on) => {
    byId(id).setAttribute("aria-pressed", on);
    document.body.classList.toggle(name, on);
  };
  byId(id).addEventListener("click", () => {
    const on = byId(id).getAttribute("aria-pressed") !== "true";
    show(on);
    if (key) remember(key, on);
  });
  show((key ? remembered(key) : null) ?? first);
}

byId("blackout").addEventListener("click", () => desk.set("stage.blackout", byId("blackout").getAttribute("aria-pressed") !== "true"));
byId("panic").addEventListener("click", () => desk.fire("show.panic") && say("Back to safety, in two seconds."));
byId("next-cue").addEventListener("click", () => desk.fire("cue.go"));
byId("learning-clear").addEventListener("click", () => desk.learn("clear", sections.known.learn.name));
byId("learning-stop").addEventListener("click", () => desk.learn("stop", sections.known.learn.name));
byId("search").addEventListener("input", search);
byId("search").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  byId("search").value = "";
  search();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
  event.preventDefault();
  byId("search").focus();
});
pressed("notes", "notes", "noted", true);
pressed("learn", "", "learning-mode", false);
link.open();
