/* Words in a recording: every line that was on its screen, when it was there, and a list to jump by. */
import { Screen } from "./replay-screen.js";
import { stamp } from "./replay-cast.js";

const SLICE = 30; // ms of reading before the page may breathe
const MOST = 500; // hits that are listed
const BEFORE = 24; // characters shown before a hit
const AFTER = 90;

/** Every line of the cast, in the order in which they went: of the screen, and of what was typed. */
export async function linesOf({ header, events }, isWanted = () => true) {
  const lines = [];
  const screen = new Screen(header.width, header.height, (line) => lines.push({ line }));
  const typed = new Typed((line) => lines.push({ line, typed: true }));
  let until = performance.now() + SLICE;
  for (const [time, code, data] of events) {
    if (code === "o") screen.feed(data, time);
    else if (code === "r") screen.resize(...data.split("x").map(Number));
    else if (code === "i") typed.feed(data, time);
    if (performance.now() > until) {
      await new Promise((resolve) => setTimeout(resolve));
      if (!isWanted()) return [];
      until = performance.now() + SLICE;
    }
  }
  screen.end();
  typed.end();
  return lines;
}

/** Where the words are, in the order of time; each once, however often its line was drawn again. */
export function find(lines, words) {
  const wanted = words.toLowerCase();
  const hits = new Map();
  if (!wanted.trim()) return [];
  for (const { line, typed } of lines) {
    const text = line.text.toLowerCase();
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      const time = line.time(at, at + wanted.length);
      const key = `${time.toFixed(6)} ${at} ${Boolean(typed)}`;
      if (!hits.has(key) || hits.get(key).line.text.length < line.text.length) hits.set(key, { time, at, line, typed, length: wanted.length });
    }
  }
  return [...hits.values()].sort((one, other) => one.time - other.time || one.at - other.at);
}

/* What was typed, a line for each Enter; other keys that are no text are passed over. */
class Typed {
  constructor(line) {
    this.line = line;
    this.text = "";
    this.times = [];
  }

  feed(data, time) {
    for (const char of data.replace(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O?.)/g, "")) {
      if (char === "\r" || char === "\n") this.end();
      else if (char === "\x7f" || char === "\b") [this.text, this.times] = [this.text.slice(0, -1), this.times.slice(0, -1)];
      else if (char >= " ") {
        this.text += char;
        for (let at = 0; at < char.length; at += 1) this.times.push(time);
      }
    }
  }

  end() {
    const { text, times } = this;
    if (text.trim()) this.line({ text, time: (from, to) => Math.max(...times.slice(from, to)) });
    [this.text, this.times] = ["", []];
  }
}

/** The panel: a field, a count, the hits as buttons. `jump(time)` goes there. */
export class Search {
  #lines = null;
  #hits = [];
  #at = -1;
  #turn = 0;

  constructor(form, cast, jump) {
    this.form = form;
    this.cast = cast;
    this.jump = jump;
    this.field = form.querySelector("input");
    this.count = form.querySelector("[data-count]");
    this.list = form.querySelector("[data-hits]");
    form.addEventListener("submit", (event) => this.#entered(event));
    this.field.addEventListener("input", () => this.#search());
    this.field.addEventListener("keydown", (event) => event.key === "Enter" && event.shiftKey && this.#step(event, -1));
    form.querySelector("[data-previous]").addEventListener("click", (event) => this.#step(event, -1));
    form.querySelector("[data-next]").addEventListener("click", (event) => this.#step(event, 1));
    this.list.addEventListener("click", ({ target }) => {
      const hit = target.closest("[data-hit]");
      if (hit) this.#go(Number(hit.dataset.hit));
    });
  }

  focus() {
    this.field.focus();
    this.field.select();
  }

  #entered(event) {
    event.preventDefault();
    if (this.#hits.length) this.#step(event, 1);
  }

  #step(event, by) {
    event.preventDefault();
    const count = Math.min(this.#hits.length, MOST);
    if (count) this.#go((this.#at + by + count) % count);
  }

  async #search() {
    const turn = ++this.#turn;
    const words = this.field.value;
    if (!this.#lines) {
      this.count.textContent = "Reading …";
      this.#lines = linesOf(this.cast);
    }
    const lines = await this.#lines;
    if (turn !== this.#turn) return;
    this.#hits = find(lines, words);
    this.#at = -1;
    this.#show(words);
  }

  #show(words) {
    const { length } = this.#hits;
    const more = length > MOST ? `, the first ${MOST} are listed` : "";
    this.count.textContent = words.trim() ? (length ? `${length} ${length === 1 ? "hit" : "hits"}${more}` : "Not in this recording") : "";
    this.list.replaceChildren(...this.#hits.slice(0, MOST).map((hit, at) => this.#row(hit, at)));
  }

  #row({ time, at, line, typed, length }, number) {
    const row = document.createElement("li");
    const button = element("button", "hit", "");
    button.type = "button";
    button.dataset.hit = number;
    const words = element("span", "hit-line", "");
    const from = Math.max(at - BEFORE, 0);
    words.append(`${from ? "…" : ""}${line.text.slice(from, at)}`, element("mark", "", line.text.slice(at, at + length)), line.text.slice(at + length, at + length + AFTER));
    button.append(element("span", "hit-time num", stamp(time)), words);
    if (typed) button.append(element("span", "badge", "typed"));
    row.append(button);
    return row;
  }

  #go(number) {
    this.list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    this.#at = number;
    const button = this.list.querySelector(`[data-hit="${number}"]`);
    button.setAttribute("aria-current", "true");
    button.scrollIntoView({ block: "nearest" });
    this.jump(this.#hits[number].time);
  }
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}
