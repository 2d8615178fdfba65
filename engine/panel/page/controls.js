/* The control that fits a parameter: fader and number, switch, choice, text, button, or a box for words.

   row(param, desk)            label, control, range, what it does and when it lands, as one element
   control(param, desk, {...}) the control alone
*/

import { Fader } from "./fader.js";
import { button, freshId, make, write } from "./make.js";
import { allowed, hasFader, plain, read, stepped, written } from "./numbers.js";
import { landsWords, shortName } from "./words.js";

const TEXT_MAX = 1000; // characters, as the show takes them
const GROWS = CSS.supports("field-sizing", "content"); // a box for words that grows with them by itself
const SELECT_FROM = 6; // choices that no longer fit beside each other

/** A whole row for one parameter. */
export function row(param, desk, label = shortName(param.name)) {
  const note = freshId();
  const made = control(param, desk, { label, describedBy: note });
  const head = make("div", { class: "head" }, make("span", { class: "label" }, label), made.beside ?? null);
  const ends = made.ends
    ? make("div", { class: "ends", "aria-hidden": "true" }, ...made.ends.map((end) => make("span", {}, end)))
    : null;
  return make(
    "div",
    { class: `param is-${param.kind}`, data: { name: param.name } },
    head,
    made.element,
    ends,
    make(
      "p",
      { class: "note", id: note },
      make("span", { class: "doc" }, param.doc, " "),
      make("span", { class: "lands" }, footnote(param)),
    ),
    bindButton(param, desk, label),
  );
}

/** When it lands, and what it takes where no fader shows it. */
function footnote(param) {
  if (param.kind === "trigger" || param.kind === "call") return param.name;
  if (param.lands === "start") return "";
  // a fader shows its range by itself
  const range = (param.kind === "number" || param.kind === "integer") && !hasFader(param) ? `${allowed(param)}; ` : "";
  return `${param.name}: ${range}seen ${landsWords(param.lands)}`;
}

/** Binds a fader, knob or sensor of the room to a parameter; seen only while learning. */
export function bindButton(param, desk, label) {
  if (param.lands === "start" || param.kind === "text" || param.kind === "call") return null;
  return button("Learn", () => desk.learn("start", param.name), { class: "bind", "aria-label": `Learn a control for ${label}` });
}

/** {element, beside, ends}: the control, what stands beside its label, and the two ends of its range. */
export function control(param, desk, options) {
  if (param.lands === "start") return fixed(param, desk);
  if (param.kind === "switch") return toggle(param, desk, options);
  if (param.kind === "choice") return choice(param, desk, options);
  if (param.kind === "text") return { element: textBox(param, desk, options) };
  if (param.kind === "trigger") return { element: trigger(param, desk, options) };
  if (param.kind === "call") return { element: callBox(param, desk, options) };
  const beside = numberBox(param, desk, options);
  if (!hasFader(param)) return { element: null, beside };
  const fader = new Fader(param, options.label, desk, options.describedBy);
  desk.watch(param.name, fader);
  fader.element.fader = fader;
  return { element: fader.element, beside, ends: [plain(param.low), plain(param.high)] };
}

function fixed(param, desk) {
  const shown = make("output", { class: "fixed" });
  desk.watch(param.name, {
    show: (value) => write(shown, typeof value === "boolean" ? (value ? "on" : "off") : written(param, value) || "none"),
  });
  return { element: null, beside: make("span", { class: "exact" }, shown, param.unit ? make("span", { class: "unit" }, param.unit) : null) };
}

function numberBox(param, desk, { label, describedBy }) {
  const box = make("input", {
    type: "text",
    inputmode: param.low !== null && param.low >= 0 ? "decimal" : null,
    class: "number",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": hasFader(param) ? `${label}, exactly` : label,
    "aria-describedby": describedBy,
    data: { name: param.name },
  });
  let value = param.value;
  let isTyped = false; // and not sent yet: the network does not overwrite it
  const type = (now) => {
    isTyped = now;
    box.classList.toggle("typed", now);
  };
  const put = () => {
    box.value = written(param, value);
    box.style.setProperty("--width", `${Math.max(box.value.length, 4) + 1}ch`);
    box.removeAttribute("aria-invalid");
    type(false);
  };
  const enter = () => {
    if (!isTyped) return;
    const typed = read(param, box.value);
    if (typed === null) {
      box.setAttribute("aria-invalid", "true");
      desk.say(`${param.name} must be ${allowed(param)}, got “${box.value}”.`);
    } else if (desk.set(param.name, typed)) {
      value = typed;
      put();
    }
  };
  box.addEventListener("input", () => type(true));
  box.addEventListener("focus", () => box.select());
  box.addEventListener("blur", () => (box.getAttribute("aria-invalid") ? put() : enter()));
  box.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (event.key === "Enter") enter();
    else if (event.key === "Escape") put();
    else if (step && desk.set(param.name, stepped(param, value, step * (event.shiftKey ? 0.1 : 1)))) event.preventDefault();
  });
  desk.watch(param.name, {
    show(next) {
      value = next;
      if (!isTyped) put();
    },
  });
  return make("span", { class: "exact" }, box, param.unit ? make("span", { class: "unit" }, param.unit) : null);
}

function toggle(param, desk, { label, describedBy }) {
  const word = make("span", { class: "word" });
  let value = param.value;
  const element = button("", () => desk.set(param.name, !value), {
    class: "switch",
    role: "switch",
    "aria-label": label,
    "aria-describedby": describedBy,
    data: { name: param.name },
  });
  element.append(make("span", { class: "slot" }, make("span", { class: "piece" })), word);
  desk.watch(param.name, {
    show(next) {
      value = Boolean(next);
      element.setAttribute("aria-checked", value);
      write(word, value ? "on" : "off");
    },
  });
  return { element: null, beside: element };
}

function choice(param, desk, { label, describedBy }) {
  if (param.choices.length > SELECT_FROM) {
    const select = make(
      "select",
      { "aria-label": label, "aria-describedby": describedBy, data: { name: param.name } },
      ...param.choices.map((each) => make("option", { value: each }, each)),
    );
    select.addEventListener("change", () => desk.set(param.name, select.value));
    desk.watch(param.name, { show: (value) => (select.value = value) });
    return { element: select };
  }
  const group = freshId();
  const inputs = param.choices.map((each) =>
    make("input", { type: "radio", name: group, value: each, on: { change: () => desk.set(param.name, each) } }),
  );
  const element = make(
    "div",
    { class: "choice", role: "radiogroup", "aria-label": label, "aria-describedby": describedBy, data: { name: param.name } },
    ...inputs.map((input) => make("label", {}, input, make("span", {}, input.value))),
  );
  desk.watch(param.name, {
    show: (value) => inputs.forEach((input) => (input.checked = input.value === value)),
  });
  return { element };
}

/** Words of a parameter. What is typed stays until it is sent or dropped, whatever the network says meanwhile. */
export function textBox(param, desk, { label, describedBy, className = "" }) {
  let value = param.value ?? "";
  const box = make("textarea", {
    rows: 1,
    maxlength: TEXT_MAX,
    class: className,
    "aria-label": label,
    "aria-describedby": describedBy,
    enterkeyhint: "send",
    spellcheck: "false",
    data: { name: param.name },
  });
  const said = make("span", { class: "draft" }, "not sent yet");
  const send = button("Set", () => enter(), { class: "plain", "aria-label": `Set ${label}` });
  const drop = button("Leave it", () => put(), { class: "quiet", "aria-label": `Leave ${label} as it was` });
  const tail = make("div", { class: "drafting", hidden: true }, said, drop, send);
  const isDraft = () => box.value !== value;
  const fit = () => {
    tail.hidden = !isDraft();
    if (!GROWS) grow(box);
  };
  if (!GROWS) new ResizeObserver(() => grow(box)).observe(box);
  const put = () => {
    box.value = value;
    fit();
  };
  const enter = () => {
    if (!isDraft() || !desk.set(param.name, box.value)) return;
    value = box.value;
    fit();
    desk.say("The new words are sent; they show once they are read.");
  };
  box.addEventListener("input", fit);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      enter();
    } else if (event.key === "Escape") put();
  });
  desk.watch(param.name, {
    show(next, refused) {
      const drafted = isDraft();
      if (next === value && !refused) return;
      const typed = box.value;
      value = next ?? "";
      if (drafted || refused) box.value = typed;
      else box.value = value;
      fit();
    },
  });
  put();
  return make("div", { class: "words" }, box, tail);
}

/** As high as its words. A box that is folded away has no height, and gets one when it is seen. */
function grow(box) {
  if (!box.offsetWidth) return;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

function trigger(param, desk, { label, describedBy }) {
  const fire = () => desk.fire(param.name);
  const element = button(label, param.name === "tempo.tap" ? () => {} : fire, {
    class: "plain",
    "aria-describedby": describedBy,
    data: { name: param.name },
  });
  if (param.name === "tempo.tap") {
    element.addEventListener("pointerdown", fire); // on the beat, and not when the finger leaves
    element.addEventListener("keydown", (event) => ["Enter", " "].includes(event.key) && !event.repeat && fire());
  }
  return element;
}

/** A box for words that do something when they are sent. */
export function callBox(param, desk, { label, describedBy, verb = label, placeholder = "", className = "", done = null }) {
  const box = make("input", {
    type: "text",
    maxlength: TEXT_MAX,
    autocomplete: "off",
    placeholder,
    "aria-label": label,
    "aria-describedby": describedBy,
    enterkeyhint: "send",
    data: { name: param.name },
  });
  const form = make("form", { class: `call ${className}` }, box, make("button", { class: "plain" }, verb));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (!text) return box.focus();
    if (!desk.call(param.name, text)) return undefined;
    box.value = "";
    desk.say(done ? done(text) : `${label}: ${text}`);
    return undefined;
  });
  return form;
}
