/* The page's line to the show: one websocket that opens itself again, and the token that it was opened with.

   const link = new Link({ said, away })       said(message), away(sentence)
   link.open(); link.send({ type: "set", ... }) -> false while the show is away
   link.address("/picture.jpg")                with the token, where there is one

   A socket that has been silent for SILENT_MS is taken for dead: a status comes every second.
*/

const SILENT_MS = 5000;
const AGAIN_MS = [300, 600, 1000, 2000, 3000];
const LOCKED_MS = 15000; // wrong tokens are slowed down, and tell somebody
const TOKEN = "token";

/** The token of this page: from its address, where it does not stay, or from this tab's memory. */
function takeToken() {
  const here = new URL(location.href);
  const given = here.searchParams.get(TOKEN);
  try {
    if (given !== null) sessionStorage.setItem(TOKEN, given);
    else return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    return given ?? ""; // a browser that keeps nothing: the token stays in the address
  }
  here.searchParams.delete(TOKEN);
  history.replaceState(history.state, "", here);
  return given;
}

export class Link {
  constructor({ said, away }) {
    this.said = said;
    this.away = away;
    this.token = takeToken();
    this.socket = null;
    this.here = false; // whether a hello has come by this socket
    this.tries = 0;
    this.timer = 0;
    this.heardAt = 0;
    setInterval(() => this.listen(), 1000);
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  /** A path of the server, with the token. */
  address(path) {
    return this.token ? `${path}?token=${encodeURIComponent(this.token)}` : path;
  }

  open() {
    clearTimeout(this.timer);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${this.address("/panel")}`);
    this.socket = socket;
    this.heardAt = performance.now();
    socket.addEventListener("message", (event) => this.socket === socket && this.hear(event.data));
    socket.addEventListener("close", (event) => this.socket === socket && this.lose(event.code));
  }

  /** Sends one message; false where the show is away. */
  send(message) {
    if (!this.here || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  hear(text) {
    this.heardAt = performance.now();
    const message = JSON.parse(text);
    if (message.type === "hello") {
      this.here = true;
      this.tries = 0;
    }
    this.said(message);
  }

  /** Whether the other side still speaks. */
  listen() {
    if (this.socket === null) return;
    const silent = performance.now() - this.heardAt;
    if (silent > SILENT_MS) this.lose(0);
    else if (silent > SILENT_MS / 2) this.send({ type: "ping", id: Math.round(silent) });
  }

  /** Tries at once what it would try later. */
  hurry() {
    if (this.socket === null) this.open();
  }

  async lose(code) {
    const socket = this.socket;
    this.socket = null;
    this.here = false;
    socket?.close();
    const wait = AGAIN_MS[Math.min(this.tries, AGAIN_MS.length - 1)];
    this.tries += 1;
    this.timer = setTimeout(() => this.hurry(), wait);
    this.away(
      code === 1013
        ? "Too many panels are open. This page tries again by itself."
        : "The show is away. This page finds it again by itself; until then nothing here can be changed.",
    );
    if (this.tries === 1 && (await this.isLocked()) && this.socket === null) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.hurry(), LOCKED_MS);
      this.tries = 0;
      this.away("The show does not know this page. Open the address that the show prints when it begins.");
    }
  }

  async isLocked() {
    try {
      return [401, 403, 421].includes((await fetch(this.address("/health"), { cache: "no-store" })).status);
    } catch {
      return false;
    }
  }
}
