/* Elements, made of text and never of markup: whatever a show or a stranger sends is shown as it is written.

   make("p", { class: "note", id: "x" }, "words", otherElement)      on: { click: f }, data: { name: "walk.speed" }
*/

let made = 0;

/** An element with attributes, listeners (`on`), data attributes (`data`) and children; text stays text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets an element's text, only where it differs: a screen reader hears nothing that did not change. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An id that no other element of this page has. */
export function freshId() {
  made += 1;
  return `n${made}`;
}

/** A button that does something each time it is pressed. */
export function button(label, act, attributes = {}) {
  return make("button", { type: "button", on: { click: act }, ...attributes }, label);
}
