/* One fader: a rule, a slug on it, and a small mark where the show file has it.

   new Fader(param, label, desk).element

   A finger moves it from where it stands, so that touching it changes nothing; a mouse may also press where it shall go.
   Shift, or a finger drawn away from the rule, makes it finer. Double-click, a long press or Delete: back to the show's
   own value. Arrows step, with Shift finely; Page Up and Page Down coarsely; Home and End go to the ends.
*/

import { make } from "./make.js";
import { at, share, stepped, written } from "./numbers.js";

const LONG_MS = 650;
const STILL_PX = 6;
const FINE = 0.1;
const SLUG_PX = 8; // wide, as panel.css has it
const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

export class Fader {
  constructor(param, label, desk, describedBy = null) {
    this.param = param;
    this.desk = desk;
    this.value = param.value;
    this.drag = null;
    this.element = make(
      "div",
      {
        class: "fader",
        role: "slider",
        tabindex: 0,
        "aria-label": label,
        "aria-describedby": describedBy,
        "aria-valuemin": param.low,
        "aria-valuemax": param.high,
        data: { name: param.name },
      },
      make("span", { class: "rule" }),
      make("span", { class: "filled" }),
      make("span", { class: "own" }),
      make("span", { class: "slug" }),
    );
    this.element.style.setProperty("--own", share(param, param.default));
    this.element.style.setProperty("--from", param.low < 0 && param.high > 0 ? share(param, 0) : 0);
    for (const [event, act] of [
      ["pointerdown", this.press],
      ["pointermove", this.move],
      ["pointerup", this.lift],
      ["pointercancel", this.lift],
      ["lostpointercapture", this.lift],
      ["keydown", this.key],
      ["dblclick", () => this.reset()],
      ["contextmenu", (event) => this.drag && event.preventDefault()],
    ]) {
      this.element.addEventListener(event, act.bind(this));
    }
  }

  /** Where the network says it stands. */
  show(value) {
    if (typeof value !== "number") return;
    this.value = value;
    const part = share(this.param, value);
    const unit = this.param.unit ? ` ${this.param.unit}` : "";
    this.element.style.setProperty("--at", part);
    this.element.setAttribute("aria-valuenow", value);
    this.element.setAttribute("aria-valuetext", written(this.param, value) + unit);
  }

  get isAway() {
    return this.element.matches("fieldset:disabled *");
  }

  press(event) {
    if (event.button !== 0 || this.isAway || this.drag) return;
    this.element.setPointerCapture(event.pointerId);
    this.element.focus({ preventScroll: true });
    const box = this.element.getBoundingClientRect();
    this.drag = { id: event.pointerId, x: event.clientX, y: event.clientY, part: share(this.param, this.value), far: 0 };
    this.element.classList.add("held");
    this.desk.hold(this.param.name);
    if (event.pointerType === "mouse" && !event.shiftKey) {
      const there = (event.clientX - box.left - SLUG_PX / 2) / (box.width - SLUG_PX);
      if (Math.abs(there - this.drag.part) * box.width > 1.5 * SLUG_PX) this.go(there);
    } else {
      this.drag.timer = setTimeout(() => this.drag && this.drag.far < STILL_PX && this.reset(), LONG_MS);
    }
    event.preventDefault();
  }

  move(event) {
    const drag = this.drag;
    if (!drag || drag.id !== event.pointerId) return;
    const width = this.element.getBoundingClientRect().width - SLUG_PX;
    const away = Math.abs(event.clientY - drag.y);
    const fine = event.shiftKey || (event.pointerType !== "mouse" && away > 80) ? FINE : 1;
    const by = event.clientX - drag.x;
    drag.far += Math.abs(by);
    drag.x = event.clientX;
    if (by !== 0 && (event.pointerType === "mouse" || drag.far >= STILL_PX)) this.go(drag.part + (by / width) * fine);
  }

  lift(event) {
    const drag = this.drag;
    if (!drag || drag.id !== event.pointerId) return;
    clearTimeout(drag.timer);
    this.drag = null;
    this.element.classList.remove("held");
    this.desk.release(this.param.name);
  }

  /** Lets go, whatever the finger does: the show went away. */
  drop() {
    if (this.drag) this.lift({ pointerId: this.drag.id });
  }

  go(part) {
    this.drag.part = Math.min(Math.max(part, 0), 1);
    const value = at(this.param, this.drag.part);
    if (value !== this.value) this.desk.set(this.param.name, value);
  }

  reset() {
    if (this.isAway) return;
    this.desk.reset(this.param.name);
    if (this.drag) this.drag.part = share(this.param, this.param.default);
  }

  key(event) {
    if (this.isAway || event.ctrlKey || event.metaKey || event.altKey) return;
    let value = null;
    if (event.key in KEYS) value = stepped(this.param, this.value, KEYS[event.key] * (event.shiftKey ? FINE : 1));
    else if (event.key === "Home") value = this.param.low;
    else if (event.key === "End") value = this.param.high;
    else if (event.key === "Delete" || event.key === "Backspace") value = this.param.default;
    if (value === null) return;
    event.preventDefault();
    this.desk.set(this.param.name, value);
  }
}
