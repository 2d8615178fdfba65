/* The parts of the page beside the plain list of parameters: materials, presets, cues, memories, recording, the log.

   const sections = new Sections(desk, say); sections.build(hello); sections.lists(message); sections.status(status)
*/

import { bindButton, callBox, control, textBox } from "./controls.js";
import { button, freshId, make, write } from "./make.js";

const LOG_KEPT = 200; // lines
const JPEG = "data:image/jpeg;base64,";
const NEWEST = 24; // memories, as many as the show lists
const LEVELS = { WARNING: "careful", ERROR: "wrong", CRITICAL: "wrong" };

/** When something was, as one says it: a time today, a date and a time before. */
function when(seconds) {
  const at = new Date(seconds * 1000);
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString()}, ${time}`;
}

const byId = (id) => document.getElementById(id);

export class Sections {
  constructor(desk, say) {
    this.desk = desk;
    this.say = say;
    this.deleting = false;
    this.state = {};
    this.known = { presets: [], cues: [], memories: [], materials: [], learn: { on: false, name: "", lines: [] } };
  }

  /** Everything, for a show that has just come. */
  build(hello) {
    this.known = { ...this.known, ...hello };
    this.say_box();
    this.materials();
    this.presets();
    this.cues();
    this.memories();
    this.recording();
    this.learning();
    byId("log").replaceChildren();
    this.log(hello.log ?? []);
  }

  /** Lists that changed. */
  lists(message) {
    for (const name of ["materials", "presets", "cues", "memories", "learn"]) {
      if (!(name in message)) continue;
      const before = JSON.stringify(this.known[name]);
      this.known[name] = message[name];
      if (JSON.stringify(message[name]) === before) continue;
      if (name === "materials") this.materialsChanged();
      else if (name === "learn") this.learning();
      else this[name]();
    }
  }

  say_box() {
    this.fill("say", "say", (param) => [
      callBox(param, this.desk, {
        label: "A phrase for the picture",
        verb: "Say",
        placeholder: "Say something to it",
        className: "say",
        done: (text) => `Said: ${text}`,
      }),
      this.does("Let all phrases fade", "say.clear", "quiet"),
    ]);
  }

  materials() {
    const cards = this.known.materials
      .filter((material) => this.desk.has(`material.${material.name}.prompt`))
      .map((material) => this.material(material.name));
    this.put("materials", cards);
  }

  /** Materials come and go with another show, which says hello anew; their words come as values. */
  materialsChanged() {
    const shown = [...byId("materials-list").querySelectorAll(".material")].map((card) => card.dataset.material);
    if (shown.join() !== this.known.materials.map((material) => material.name).join()) this.materials();
  }

  material(name) {
    const title = name.replaceAll("_", " ");
    const words = this.desk.params.get(`material.${name}.prompt`);
    const weight = this.desk.params.get(`material.${name}`);
    const fader = weight ? control(weight, this.desk, { label: `${title}, how much` }) : {};
    return make(
      "article",
      { class: "material", "aria-label": title, data: { material: name, name: `material.${name}` } },
      make("div", { class: "head" }, make("h3", {}, title), fader.beside ?? null),
      textBox(words, this.desk, { label: `the words of ${title}`, className: "prompt" }),
      fader.element ?? null,
      weight ? bindButton(weight, this.desk, `${title}, how much`) : null,
    );
  }

  presets() {
    const chips = this.known.presets.map((name) =>
      button(name, () => this.preset(name), { class: "chip", "aria-label": `Preset ${name}` }),
    );
    const store = this.desk.params.get("preset.store");
    const remove = button("Delete one", () => this.deleteMode(!this.deleting), { class: "quiet", "aria-pressed": "false" });
    this.remove = remove;
    this.put(
      "presets",
      this.desk.has("preset.recall")
        ? [
            chips.length
              ? make("div", { class: "chips" }, ...chips)
              : make("p", { class: "empty" }, "None yet. Put the faders where you like them and store that under a name."),
            store
              ? callBox(store, this.desk, {
                  label: "A name to store the present values under",
                  verb: "Store",
                  placeholder: "Store this as",
                  done: (text) => `Stored as ${text}.`,
                })
              : null,
            chips.length && this.desk.has("preset.delete") ? remove : null,
          ]
        : [],
    );
    this.deleteMode(false);
  }

  preset(name) {
    if (!this.deleting) this.desk.call("preset.recall", name) && this.say(`On the way to ${name}.`);
    else if (this.desk.call("preset.delete", name)) this.deleteMode(false);
  }

  deleteMode(on) {
    this.deleting = on;
    byId("presets-list").classList.toggle("deleting", on);
    this.remove.setAttribute("aria-pressed", on);
    write(this.remove, on ? "Press the one to delete, or here to keep them all" : "Delete one");
  }

  cues() {
    const items = this.known.cues.map((cue) =>
      make(
        "li",
        { data: { cue: cue.number } },
        button("", () => this.desk.call("cue.goto", String(cue.number)), { class: "line" }),
      ),
    );
    items.forEach((item, place) => {
      const cue = this.known.cues[place];
      item.firstChild.append(make("span", { class: "figure" }, String(cue.number)), make("span", {}, cue.name || "without a name"));
      item.firstChild.setAttribute("aria-label", `Go to cue ${cue.number}, ${cue.name || "without a name"}`);
    });
    this.put(
      "cues",
      items.length
        ? [
            make("div", { class: "pair" }, this.does("Back", "cue.back", "plain"), this.does("Next cue", "cue.go", "plain")),
            make("ol", { class: "lines" }, ...items),
            button("To the beginning", () => this.desk.call("cue.goto", "0"), { class: "quiet" }),
          ]
        : [],
    );
    byId("next-cue").hidden = !items.length;
    this.mark();
  }

  memories() {
    const recall = this.desk.params.get("memory.recall");
    const there = this.known.memories;
    const items = there.map((memory) => {
      const go = button("", () => this.desk.call("memory.recall", String(memory.id)), {
        class: "line remembered",
        "aria-label": `Visit memory ${memory.id}, ${memory.name}`,
      });
      go.append(
        memory.picture.startsWith(JPEG) ? make("img", { src: memory.picture, alt: "", width: 64, height: 36 }) : make("span", { class: "dark" }),
        make("span", { class: "what" }, memory.name || "without words", make("small", {}, `${memory.id}, ${when(memory.kept)}`)),
      );
      return make("li", {}, go);
    });
    this.visiting = make("p", { class: "visiting" });
    this.put(
      "memories",
      recall
        ? [
            make(
              "div",
              { class: "pair" },
              this.does("Keep this picture", "memory.keep", "plain"),
              this.does("Visit any", "memory.random", "plain"),
              this.does("Leave the memory", "memory.leave", "plain"),
            ),
            this.visiting,
            callBox(recall, this.desk, {
              label: "A memory to visit: its number, words, or “an hour ago”",
              verb: "Visit",
              placeholder: "A number, words, “an hour ago”",
              done: (text) => `Looking for ${text}.`,
            }),
            items.length
              ? make("ol", { class: "lines", tabindex: items.length > 8 ? 0 : null, "aria-label": "Memories" }, ...items)
              : make("p", { class: "empty" }, "Nothing has been remembered yet."),
            items.length < NEWEST ? null : make("p", { class: "empty" }, "These are the newest; older ones are found by their words."),
          ]
        : [],
    );
    this.mark();
  }

  recording() {
    const parts = [];
    if (this.desk.has("record.start")) parts.push(this.startStop("recording", "record", "Record", "End the recording"));
    if (this.desk.has("take.start")) parts.push(this.startStop("take", "take", "Begin a take", "End the take"));
    if (this.desk.has("record.still")) parts.push(this.does("Keep a still", "record.still", "plain"));
    this.put("recording", [
      make("div", { class: "pair" }, ...parts),
      parts.length
        ? make("p", { class: "empty" }, "A take is a log of all that steers; it can be made into a film again, at any size.")
        : null,
    ]);
    this.mark();
  }

  /** One button that begins or ends, as the status says. */
  startStop(key, room, begin, end) {
    const act = () => this.desk.fire(`${room}.${this.state[key] ? "stop" : "start"}`);
    return button(begin, act, { class: "plain", "aria-pressed": "false", data: { runs: key, begin, end } });
  }

  learning() {
    const { on, name, lines } = this.known.learn ?? {};
    const strip = byId("learning");
    strip.hidden = !on;
    write(byId("learning-title"), on ? `Learning: move a control for ${name}` : "");
    byId("learning-lines").replaceChildren(...(on ? (lines ?? []) : []).map((line) => make("p", {}, line)));
  }

  /** What the status says of these parts. */
  status(status) {
    this.state = { ...this.state, ...status };
    this.mark();
  }

  mark() {
    for (const each of document.querySelectorAll("[data-runs]")) {
      const runs = Boolean(this.state[each.dataset.runs]);
      each.setAttribute("aria-pressed", runs);
      write(each, runs ? each.dataset.end : each.dataset.begin);
    }
    for (const each of document.querySelectorAll("[data-cue]")) {
      const isNow = String(this.state.cue_place) === each.dataset.cue;
      if (isNow) each.firstChild.setAttribute("aria-current", "step");
      else each.firstChild.removeAttribute("aria-current");
    }
    const next = this.known.cues[this.state.cue_place ?? 0];
    write(byId("next-cue-name"), next ? next.name || `number ${next.number}` : "that was the last");
    if (this.visiting) {
      const { visiting } = this.state;
      write(this.visiting, visiting ? `Visiting ${visiting}` : "");
    }
  }

  log(lines) {
    const list = byId("log");
    for (const line of lines) {
      const time = new Date(line.time * 1000);
      const word = LEVELS[line.level];
      list.prepend(
        make(
          "li",
          { class: word ?? null },
          make("time", { datetime: time.toISOString() }, time.toLocaleTimeString([], { hour12: false })),
          make("span", {}, word ? make("b", {}, `${word}: `) : null, line.text),
        ),
      );
    }
    while (list.childElementCount > LOG_KEPT) list.lastChild.remove();
    byId("log-empty").hidden = list.childElementCount > 0;
  }

  does(label, name, className) {
    return this.desk.has(name)
      ? button(label, () => this.desk.fire(name), { class: className, data: { name } })
      : null;
  }

  /** Fills a part where the show has the parameter. */
  fill(id, name, parts) {
    const param = this.desk.params.get(name);
    byId(id).replaceChildren(...(param ? parts(param) : []).filter(Boolean));
  }

  put(id, parts) {
    const there = parts.filter(Boolean);
    const list = byId(`${id}-list`);
    const restore = keep(list);
    list.replaceChildren(...there);
    restore();
    byId(id).hidden = !there.length;
    for (const link of document.querySelectorAll(`a[href="#${id}"]`)) link.hidden = !there.length;
  }
}

/** What somebody is in the middle of, in a part that is about to be drawn anew: words in a box, focus, how far it was
    scrolled. The function that it returns puts it back. */
function keep(list) {
  const key = (element) => element.dataset.name ?? element.getAttribute("aria-label");
  const typed = new Map([...list.querySelectorAll("form input")].map((box) => [key(box), box.value]));
  const scrolled = list.querySelector(".lines")?.scrollTop ?? 0;
  const focused = list.contains(document.activeElement) ? key(document.activeElement) : null;
  return () => {
    for (const box of list.querySelectorAll("form input")) box.value = typed.get(key(box)) ?? "";
    list.querySelector(".lines")?.scrollTo(0, scrolled);
    const again = focused && [...list.querySelectorAll("input, button, [tabindex]")].find((each) => key(each) === focused);
    if (again) again.focus({ preventScroll: true });
  };
}

/** A group of rows that folds. Which are open is remembered by this browser. */
export function fold(key, title, line, rows, isOpen) {
  const heading = freshId();
  return make(
    "details",
    { class: "group", open: isOpen, data: { group: key } },
    make("summary", { id: heading }, make("span", { class: "title" }, title), line ? make("span", { class: "line" }, line) : null),
    make("div", { class: "rows", role: "group", "aria-labelledby": heading }, ...rows),
  );
}
