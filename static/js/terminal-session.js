/* One named shell as this page has it: a screen, a socket, and the count of bytes between them. */
import { clock, day, duration } from "./format.js";
import { Socket } from "./socket.js";
import { heard } from "./terminal-recording.js";
import { isReport, muteQueries } from "./terminal-queries.js";
import { makeScreen, textOf } from "./terminal-screen.js";
import { Typing } from "./terminal-typing.js";
import { toast } from "./toasts.js";

const ACK_EVERY = 64 * 1024; // bytes drawn between two acknowledgements
const TOLD = 60_000; // ms
const CLEAR = "\x1bc"; // reset, in its place in the stream

/**
 * `changed()` is called whenever something that the page shows about it is different: `state`
 * ("connecting", "open", "waiting", "offline", "refused", "ended"), `detail`, `viewers`, `size`, `paused`.
 */
export class TerminalSession {
  state = "connecting";
  detail = {};
  viewers = 0;
  others = []; // names of the other people who look at any shell of the sandbox
  mayType = true;
  size = null; // [columns, rows] of the tty
  paused = false;
  grace = 0; // seconds for which the shell goes on without any page
  recording = null; // the last frame `recording`; null where nothing is ever recorded
  #leader = false;
  #answers = false; // whether a program may hear of this page's mouse and focus
  #shell = ""; // which shell the offset counts in
  #isFirst = true; // this page has had no shell here yet
  #received = null; // the byte that comes next from the socket
  #drawn = 0; // the byte that comes next on the screen
  #acked = 0;
  #head = 0; // bytes before this one are a replay
  #epoch = 0; // how often the count began anew: what is drawn of an earlier count does not count
  #isPatchy = false; // the screen began in the middle of something
  #wished = null;
  #asked = null; // the size that the server has heard of on this connection
  #over = ""; // why the shell that was here was ended with its sandbox, until the next one has told it
  #encoder = new TextEncoder();

  constructor(name, host, url, { screen, changed, names, typed }) {
    this.name = name;
    this.host = host;
    this.changed = changed;
    this.names = names;
    this.typed = typed;
    Object.assign(this, makeScreen(host, { ...screen, label: `Terminal ${name}. Shift and F6 leave it.` }));
    this.typing = new Typing((bytes) => this.socket.send(bytes), () => this.socket.unsent);
    const isAnswer = muteQueries(this.terminal, () => !this.#leader || this.#drawn < this.#head);
    this.terminal.onData((data) => isAnswer() || this.#isUnasked(data) || this.type(data));
    this.terminal.onBinary((data) => this.#answers && this.mayType && this.typing.add(Uint8Array.from(data, (char) => char.charCodeAt(0))));
    this.socket = new Socket(() => `${url}${name}/?${this.#query()}`, {
      bytes: (bytes) => this.#draw(bytes),
      message: (message) => this.#message(message),
      state: (state, detail) => this.#linked(state, detail),
    });
  }

  /** Connect, or connect again at once; a shell that has ended is followed by a new one. */
  connect() {
    this.socket.connect();
  }

  /** Leave; the shell goes on without this page. */
  dispose() {
    this.socket.dispose();
    this.terminal.dispose();
    this.host.remove();
  }

  /** End the shell and what it started. */
  close() {
    this.socket.send({ type: "close" });
  }

  /** Hand text to the shell, as if typed. */
  type(text) {
    if (!this.isOver && this.mayType) this.typing.add(this.#encoder.encode(this.typed?.(text) ?? text));
  }

  /* What a program has the emulator say by itself, where nobody has typed here who may be made to. */
  #isUnasked(data) {
    return !this.#answers && isReport(data);
  }

  text() {
    return textOf(this.terminal);
  }

  /** Whether its sandbox was restarted and took the shell along: it runs on, so a new one follows. */
  get isRestarted() {
    return this.state === "ended" && /^restart(ed)?$/.test(this.detail.reason);
  }

  get isOver() {
    return this.state === "ended" || this.state === "refused";
  }

  /** Tell the server how much there is room for here; it answers with the size for all. */
  measure() {
    const room = this.fit.proposeDimensions();
    if (!room || !Number.isFinite(room.cols)) return;
    const wished = [clamp(room.cols), clamp(room.rows)];
    this.#wished = wished;
    if (String(wished) === String(this.#asked)) return;
    const isTold = this.socket.send({ type: "resize", cols: wished[0], rows: wished[1] });
    if (isTold) this.#asked = wished;
    else if (this.isOver || !this.size) this.terminal.resize(...wished);
  }

  /** Whether the tty is smaller than this window, as another viewer's is. */
  get isBoxed() {
    return Boolean(this.size && this.#wished && (this.size[0] < this.#wished[0] || this.size[1] < this.#wished[1]));
  }

  #query() {
    const [cols, rows] = this.#wished ?? [80, 24];
    const query = { cols, rows };
    this.#asked = [cols, rows];
    if (this.#received !== null) Object.assign(query, { offset: this.#received, shell: this.#shell });
    return new URLSearchParams(query);
  }

  #linked(state, detail) {
    if (state !== "open" && this.typing.end()) toast("warning", "The connection was lost in the middle of what you pasted.");
    if (state === "stopped") {
      if (this.state !== "ended") this.#now("refused", detail);
    } else if (state !== "open") {
      this.#now(state, detail); // "open" is said by `attached`: only then it can be typed in
    }
  }

  #now(state, detail = {}) {
    this.state = state;
    this.detail = detail;
    this.changed(this);
  }

  #message(message) {
    switch (message.type) {
      case "attached":
        this.#attached(message);
        break;
      case "gap":
        this.#begin(message.to);
        break;
      case "viewers":
        this.viewers = message.count;
        this.others = message.others ?? [];
        this.#leader = message.leader;
        this.#answers = message.answers;
        break;
      case "size":
        this.#resize(message);
        break;
      case "paused":
      case "resumed":
        this.paused = message.type === "paused";
        break;
      case "rights":
        this.mayType = message.may_type;
        this.terminal.options.disableStdin = !message.may_type;
        break;
      case "recording":
        this.recording = heard(this.recording, message);
        break;
      case "terminals":
        this.names(message.names);
        break;
      case "ended":
        this.#ended(message);
        break;
      case "error":
        if (message.code === "too_fast") this.typing.stop();
        toast("warning", message.message);
    }
    this.changed(this);
  }

  #attached(message) {
    this.viewers = message.viewers;
    this.others = message.others ?? [];
    this.mayType = true;
    this.recording = null;
    this.#leader = message.leader;
    this.#answers = message.answers;
    const isSame = message.resumed && message.offset === this.#received;
    this.grace = message.grace ?? 0;
    const isAnother = this.#received !== null && message.shell !== this.#shell;
    this.typing.begin(isSame || this.#received === null);
    if (!isSame) this.#begin(message.offset);
    if (this.#over) this.#note(`${this.#over} This is a new shell.`, "\r\n");
    else if (isAnother) this.#tellOfAnother();
    else if (this.#isFirst && message.before && !message.offset) this.#tellOfBefore(message.before);
    this.#isFirst = false;
    this.#over = "";
    this.terminal.options.cursorBlink = true;
    this.#shell = message.shell ?? "";
    this.#head = message.head;
    this.#resize(message);
    this.paused = Boolean(message.paused);
    this.#now("open");
    this.measure();
  }

  /* It stands on the screen too, where whoever comes back later still finds it. */
  #tellOfAnother() {
    const goesOn = this.grace ? `for ${duration(this.grace)} without a page, and ` : "";
    const text = `Your earlier shell was ended, and this is a new one: what was not saved is gone. A shell goes on ${goesOn}not beyond a restart of the server.`;
    this.#note(text);
    toast("warning", text, TOLD);
  }

  /* A page that is loaded anew, or later, finds a fresh shell where there was one before. */
  #tellOfBefore({ at, sentence }) {
    const then = new Date(at);
    const when = day(then) === day(new Date()) ? clock(then) : `${day(then)}, ${clock(then)}`;
    this.#note(`The shell before this one was over at ${when}. ${sentence}`.trim());
  }

  /* A name in it is somebody's words: on a screen, too, they are text and nothing else. */
  #note(text, before = "") {
    this.terminal.write(`${before}\x1b[90m${text.replace(/\p{Cc}/gu, " ")}\x1b[0m\r\n`);
  }

  /* Bytes before `offset` are not to be had: the screen starts anew, in its place in the stream. */
  #begin(offset) {
    const first = this.#received === null;
    this.#received = offset;
    if (!first) this.terminal.write(CLEAR);
    this.#drawn = this.#acked = offset;
    this.#epoch += 1;
    this.#isPatchy = true;
  }

  #resize({ cols, rows }) {
    if (!cols || !rows) return;
    this.size = [cols, rows];
    if (cols !== this.terminal.cols || rows !== this.terminal.rows) this.terminal.resize(cols, rows);
  }

  /* What was replayed and what is new are drawn apart, so that each question is judged by its place. */
  #draw(bytes) {
    const replayed = Math.min(Math.max(this.#head - this.#received, 0), bytes.length);
    this.#received += bytes.length;
    const end = this.#received;
    if (replayed && replayed < bytes.length) {
      this.#write(bytes.subarray(0, replayed), end - bytes.length + replayed);
      this.#write(bytes.subarray(replayed), end);
    } else {
      this.#write(bytes, end);
    }
  }

  #write(bytes, end) {
    const epoch = this.#epoch;
    this.terminal.write(bytes, () => {
      if (epoch !== this.#epoch) return;
      this.#drawn = end;
      if (this.#drawn - this.#acked >= ACK_EVERY || this.#drawn === this.#received) this.#acknowledge();
      if (this.#isPatchy && this.#drawn >= this.#head) this.#mend();
    });
  }

  /* A full-screen program whose drawing was not seen from its beginning is asked to draw anew. */
  #mend() {
    this.#isPatchy = false;
    if (this.terminal.buffer.active.type === "alternate") this.socket.send({ type: "redraw" });
  }

  #acknowledge() {
    if (this.#drawn === this.#acked) return;
    if (this.socket.send({ type: "ack", offset: this.#drawn })) this.#acked = this.#drawn;
  }

  /* What is said of it comes last, from `#message`: a new shell may follow at once. */
  #ended({ sentence, again, reason }) {
    Object.assign(this, { state: "ended", detail: { sentence, again, reason } });
    this.#over = this.isRestarted ? sentence : "";
    this.socket.stop();
    this.#received = null; // a new shell counts anew
    this.terminal.options.cursorBlink = false;
  }
}

const clamp = (count) => Math.min(Math.max(count, 1), 500);
