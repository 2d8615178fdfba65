/* What the page knows of the show, and who is moving what.

   const desk = new Desk(link, say)
   desk.watch("walk.speed", view)      view.show(value) is called with every value, also the first
   desk.hold(name); desk.set(name, value); desk.release(name)

   What is under the hand is not moved by the network. It goes on standing where the hand left it until what was sent has
   had time to come back, and then shows what the show says.
*/

const SETTLE_MS = 600; // from the last touch until the show has the last word
const SEND_MS = 25; // between two values of one parameter

export class Desk {
  constructor(link, say) {
    this.link = link;
    this.say = say;
    this.params = new Map();
    this.values = new Map(); // as the show says
    this.views = new Map();
    this.held = new Map(); // name -> until when, in ms; Infinity under the hand
    this.waiting = new Map(); // name -> the value to be sent next, or null where one was sent a moment ago
  }

  /** All there is, of a hello. */
  begin(params) {
    this.params = new Map(params.map((param) => [param.name, param]));
    this.values = new Map(params.map((param) => [param.name, param.value]));
    this.held.clear();
    this.waiting.clear();
  }

  /** Forgets who watches: everything is drawn anew. */
  clear() {
    this.views.clear();
  }

  watch(name, view) {
    if (!this.views.has(name)) this.views.set(name, new Set());
    this.views.get(name).add(view);
    view.show(this.values.get(name));
  }

  has(name) {
    return this.params.has(name);
  }

  /** Values that the show says. */
  take(values) {
    for (const [name, value] of Object.entries(values)) {
      this.values.set(name, value);
      if (!this.held.has(name)) this.show(name, value);
    }
  }

  /** Everything as the show says, whatever was under the hand: after a break. */
  showAll() {
    this.held.clear();
    for (const [name, value] of this.values) this.show(name, value);
  }

  /** From now on the hand has it. */
  hold(name) {
    this.held.set(name, Infinity);
  }

  /** The hand lets go. */
  release(name) {
    this.settle(name);
  }

  /** Sets a parameter; false, said once, where the show is away. */
  set(name, value) {
    if (!this.link.here) return this.lost(name);
    if (this.held.get(name) !== Infinity) this.settle(name);
    this.show(name, value);
    if (this.waiting.has(name)) this.waiting.set(name, value);
    else this.post(name, value);
    return true;
  }

  /** Back to where the show file has it. */
  reset(name) {
    return this.set(name, this.params.get(name).default);
  }

  fire(name, value = 1.0) {
    return this.link.send({ type: "fire", name, value }) || this.lost(name);
  }

  call(name, text) {
    return this.link.send({ type: "call", name, text }) || this.lost(name);
  }

  learn(action, name) {
    return this.link.send({ type: "learn", action, name }) || this.lost(name);
  }

  /** The show would not: what it says counts again. */
  refused(name) {
    this.held.delete(name);
    if (this.values.has(name)) this.show(name, this.values.get(name), true);
  }

  show(name, value, refused = false) {
    for (const view of this.views.get(name) ?? []) view.show(value, refused);
  }

  settle(name) {
    const until = performance.now() + SETTLE_MS;
    this.held.set(name, until);
    setTimeout(() => {
      if (this.held.get(name) !== until) return;
      this.held.delete(name);
      this.show(name, this.values.get(name));
    }, SETTLE_MS);
  }

  /** Sends now, and then the newest of what comes meanwhile: a hand makes more values than anybody can see. */
  post(name, value) {
    this.link.send({ type: "set", name, value });
    this.waiting.set(name, null);
    setTimeout(() => {
      const newest = this.waiting.get(name);
      this.waiting.delete(name);
      if (newest !== null && newest !== undefined) this.post(name, newest);
    }, SEND_MS);
  }

  lost(name) {
    this.say(`${name} was not sent: the show is away.`);
    return false;
  }
}
