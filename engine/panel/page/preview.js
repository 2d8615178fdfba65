/* The live picture: asked for only while somebody sees it, so that it costs the stage nothing otherwise.

   const preview = new Preview(image, words, link); preview.start(); preview.stop()
*/

import { write } from "./make.js";

const AGAIN_MS = 3000;
// What ends a stream: an image that loses its source keeps its connection in some browsers.
const NOTHING = "icon.svg";

export class Preview {
  constructor(image, words, link) {
    this.image = image;
    this.words = words;
    this.link = link;
    this.wanted = false;
    this.seen = true;
    this.runs = false;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => this.look());
    new IntersectionObserver((entries) => {
      this.seen = entries.at(-1).isIntersecting;
      this.look();
    }).observe(image.parentElement);
    image.addEventListener("error", () => this.fail());
    image.addEventListener("load", () => this.runs && this.arrive());
  }

  start() {
    this.wanted = true;
    this.look();
  }

  stop() {
    this.wanted = false;
    this.look();
  }

  /** Opens or ends the stream, as it is needed now. */
  look() {
    const runs = this.wanted && this.seen && !document.hidden;
    if (runs === this.runs) return;
    this.runs = runs;
    clearTimeout(this.timer);
    if (runs) this.open();
    else this.close();
  }

  open() {
    const address = this.link.address("/stream.mjpg");
    this.image.src = `${address}${address.includes("?") ? "&" : "?"}at=${Math.round(performance.now())}`;
    this.image.hidden = false;
  }

  close() {
    this.image.hidden = true;
    this.image.src = NOTHING;
    write(this.words, this.wanted ? "" : "No picture while the show is away");
    this.words.hidden = false;
  }

  arrive() {
    this.words.hidden = true;
  }

  fail() {
    if (!this.runs) return;
    this.image.hidden = true;
    write(this.words, "No picture comes just now");
    this.words.hidden = false;
    this.timer = setTimeout(() => this.runs && this.open(), AGAIN_MS);
  }
}
