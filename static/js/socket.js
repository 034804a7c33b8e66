/* A websocket that comes back: jittered exponential back-off, aware of the network and of the tab. */

const FIRST = 500; // ms until the first new try
const LONGEST = 20_000;
const STEADY = 5000; // ms open until the back-off starts anew
const BEAT = 10_000; // ms between two looks at the clock
const ASLEEP = 45_000; // ms; a longer hole between them was a sleep, and no socket outlives one

/** ws(s)://this host + path. */
export function address(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/**
 * Calls back `open()`, `message(object)`, `bytes(Uint8Array)` and `state(name, detail)`, name being
 * "connecting" | "open" | "waiting" ({seconds}) | "offline" | "stopped" ({reason, code}).
 * After a "goodbye" it stays closed until `connect()`.
 */
export class Socket {
  #calls;
  #path;
  #socket = null;
  #timer = 0;
  #tries = 0;
  #ended = false;
  #beat = Date.now();
  #clock = setInterval(() => this.#woken(), BEAT);
  #aborter = new AbortController();

  constructor(path, calls) {
    this.#path = path; // a text or a function: the terminal's changes with its offset
    this.#calls = calls;
    const { signal } = this.#aborter;
    addEventListener("online", () => this.#hasty(), { signal });
    addEventListener("offline", () => this.#lost(), { signal });
    document.addEventListener("visibilitychange", () => !document.hidden && this.#seen(), { signal });
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Bytes that were sent and that the network has not taken yet. */
  get unsent() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  /** Connect now, whatever is being waited for. */
  connect() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#ended = false;
    this.#state("connecting");
    const socket = new WebSocket(address(typeof this.#path === "function" ? this.#path() : this.#path));
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.addEventListener("open", () => this.#opened(socket));
    socket.addEventListener("message", (event) => this.#message(socket, event));
    socket.addEventListener("close", () => this.#closed(socket));
  }

  /** Send bytes or an object as JSON; false when there is nobody to send it to. */
  send(data) {
    if (!this.isOpen) return false;
    this.#socket.send(data instanceof Uint8Array ? data : JSON.stringify(data));
    return true;
  }

  /** Close and stay closed; what was said after which is no longer heard. */
  stop(reason = "", code = "") {
    clearTimeout(this.#timer);
    this.#drop();
    if (this.#ended) return;
    this.#ended = true;
    this.#state("stopped", { reason, code });
  }

  /** Gone for good, listeners too. */
  dispose() {
    this.#ended = true;
    this.#aborter.abort();
    clearTimeout(this.#timer);
    clearInterval(this.#clock);
    this.#drop();
  }

  #state(name, detail = {}) {
    this.#calls.state?.(name, detail);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(1000);
  }

  #opened(socket) {
    if (socket !== this.#socket) return;
    setTimeout(() => socket === this.#socket && (this.#tries = 0), STEADY);
    this.#state("open");
    this.#calls.open?.();
  }

  #message(socket, event) {
    if (socket !== this.#socket) return;
    if (typeof event.data !== "string") {
      this.#calls.bytes?.(new Uint8Array(event.data));
      return;
    }
    const message = JSON.parse(event.data);
    if (message.type === "goodbye") this.stop(message.reason ?? "", message.code ?? "");
    else this.#calls.message?.(message);
  }

  #closed(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    if (this.#ended) return;
    this.#wait();
  }

  #wait() {
    if (!navigator.onLine) return this.#state("offline");
    const most = Math.min(FIRST * 2 ** this.#tries, LONGEST);
    const wait = most * (0.5 + Math.random() / 2);
    this.#tries += 1;
    this.#state("waiting", { seconds: Math.ceil(wait / 1000), until: Date.now() + wait });
    this.#timer = setTimeout(() => this.connect(), wait);
  }

  /* After a sleep a socket may look open for minutes and be dead. Hidden pages are merely slowed down. */
  #woken() {
    const hole = Date.now() - this.#beat;
    this.#beat = Date.now();
    if (hole > ASLEEP && !document.hidden && !this.#ended) this.connect();
  }

  #seen() {
    const isStale = Date.now() - this.#beat > 2 * ASLEEP;
    this.#beat = Date.now();
    if (isStale && this.isOpen) this.connect();
    else this.#hasty();
  }

  /* The network is back, or somebody looks again: no reason to wait any longer. */
  #hasty() {
    if (this.#ended || this.isOpen || this.#socket?.readyState === WebSocket.CONNECTING) return;
    this.#tries = 0;
    this.connect();
  }

  /* A cut cable does not close a socket by itself for a long time. */
  #lost() {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#drop();
    this.#state("offline");
  }
}
