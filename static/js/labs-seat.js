/* <lab-seat>: a student's page stays true: its parts when something changed, the whole when it looks otherwise. */
import "./labs-seat-sheet.js";
import "./labs-seat-split.js";
import { Socket } from "./socket.js";
import { toast } from "./toasts.js";

const PASSING = 2000; // ms between looks while the seat waits, starts or is being saved
const CALM = 10_000; // ms otherwise; repairs a nudge that was lost
const GATHER = 120; // ms; nudges that come together are answered once

class LabSeat extends HTMLElement {
  #aborter;
  #socket;
  #poll;
  #timer;
  #talk;
  #newest;
  #asked = 0;
  #turning = false;
  #linked = false; // where the socket never was, the page still looks every few seconds

  connectedCallback() {
    // a page that begins with waiting has no terminal yet: it is loaded meanwhile
    import("./terminal.js").catch(() => toast("error", "The terminal could not be loaded. Load the page again."));
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    this.#talk = this.#header?.dataset.talk;
    this.#newest = this.#latest();
    this.addEventListener("terminal-shown", (event) => this.#watched(event.detail), { signal });
    document.addEventListener("htmx:afterSettle", () => this.#look(), { signal });
    document.addEventListener("visibilitychange", () => !document.hidden && this.#ask(), { signal });
    this.#poll = setInterval(() => !document.hidden && this.#glance(), this.hasAttribute("passing") ? PASSING : CALM);
    this.#socket = new Socket(this.getAttribute("socket"), {
      open: () => this.#opened(),
      message: (message) => this.#message(message),
      state: (name, detail) => this.#linked && this.querySelector("link-state")?.show?.(name, detail),
    });
    this.#socket.connect();
  }

  disconnectedCallback() {
    this.#aborter.abort();
    this.#socket.dispose();
    clearInterval(this.#poll);
    clearTimeout(this.#timer);
  }

  get #header() {
    return this.querySelector('[data-part="header"]');
  }

  #opened() {
    this.#linked = true;
    this.querySelector("link-state")?.show?.("open");
    this.#ask();
  }

  #message(message) {
    if (message.type === "message") this.#refresh("#seat-messages");
    this.#timer ??= setTimeout(() => this.#ask(), GATHER);
  }

  /* A room full of people waits at once. With a socket only their place in the queue is told by nobody. */
  #glance() {
    if (!this.hasAttribute("passing") || !this.#socket.isOpen) return this.#ask();
    if (Date.now() - this.#asked < CALM) return undefined;
    this.#asked = Date.now();
    return this.#refresh('[data-seat-part="wait"]');
  }

  #ask() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asked = Date.now();
    this.#refresh('[data-part="header"], [data-part="stage"], [data-seat-part="wait"]');
  }

  #refresh(selector) {
    for (const part of this.querySelectorAll(selector)) window.htmx?.trigger(part, "refresh");
  }

  /* Header and waiting are the page's truth: another key is another page, other talk has other parts. */
  #look() {
    const { key, talk } = { ...this.#header?.dataset, ...this.querySelector('[data-seat-part="wait"]')?.dataset };
    if (key && key !== this.getAttribute("key")) return this.#anew();
    if (talk !== undefined && talk !== this.#talk && !this.#isTyped) {
      this.#talk = talk;
      this.#refresh("#seat-watch, #seat-hand, #seat-messages");
    }
    return this.#announce();
  }

  /* A line for the raised hand that is being typed stays. */
  get #isTyped() {
    return document.activeElement?.matches("#seat-hand input") ?? false;
  }

  /* While a part's answer is on its way a swap of the whole is left out: the next look tries again. */
  async #anew() {
    if (this.#turning) return;
    this.#turning = true;
    await window.htmx.ajax("GET", this.getAttribute("place"), { target: this, swap: "outerHTML" }).catch(() => {});
    this.#turning = false;
  }

  #latest() {
    return Number(this.querySelector("[data-message]")?.dataset.message ?? 0);
  }

  #announce() {
    for (const note of [...this.querySelectorAll("[data-message]")].reverse()) {
      if (Number(note.dataset.message) <= this.#newest) continue;
      const { by } = note.dataset;
      toast("info", `${by ? `${by}: ` : ""}${note.querySelector("[data-text]").textContent}`);
    }
    this.#newest = Math.max(this.#newest, this.#latest());
  }

  #watched({ others = [], state }) {
    const place = this.querySelector("[data-watchers]");
    if (!place) return;
    const names = state === "open" ? others : [];
    const text = names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} looking at your terminal.` : "";
    if (place.textContent !== text) place.textContent = text;
    place.hidden = !text;
  }
}

customElements.define("lab-seat", LabSeat);
