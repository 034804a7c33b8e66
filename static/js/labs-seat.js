/* <lab-seat>: a student's page stays true: its parts when something changed, the whole when it looks otherwise. */
import "./labs-seat-sheet.js";
import "./labs-seat-split.js";
import { Socket } from "./socket.js";
import { toast } from "./toasts.js";

const PASSING = 2000; // ms between looks while the seat waits, starts or is being saved
const CALM = 10_000; // ms otherwise; repairs a nudge that was lost
const GATHER = 120; // ms; nudges that come together are answered once
const LATER = [2000, 6000]; // ms until the list of messages is fetched, and how much more at most: a whole class hears at once
const READ = 15_000; // ms for which a message stays; it may be long, and its reader busy

const END = "end"; // what a message is about that tells when it ends
const shown = []; // also by the page's element before it was swapped: a seat that is saved, then closed, has three

class LabSeat extends HTMLElement {
  #aborter;
  #socket;
  #poll;
  #timer;
  #list;
  #talk;
  #told;
  #asked = 0;
  #turning = false;
  #linked = false; // where the socket never was, the page still looks every few seconds

  connectedCallback() {
    // a page that begins with waiting has no terminal yet: it is loaded meanwhile
    import("./terminal.js").catch(() => toast("error", "The terminal could not be loaded. Load the page again."));
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    this.#talk = this.#header?.dataset.talk;
    this.#told = new Set(this.#notes.map(({ dataset }) => dataset.message));
    this.addEventListener("terminal-changed", ({ target }) => this.#watched(target.lookers), { signal });
    this.addEventListener("toggle", ({ target }) => target.id === "seat-messages" && target.open && this.#catchUp(), { signal, capture: true });
    document.addEventListener("htmx:beforeSwap", ({ target, detail }) => this.#keepOpen(target, detail), { signal });
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
    clearTimeout(this.#list);
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
    if (message.type === "message") this.#say(message);
    else this.#timer ??= setTimeout(() => this.#ask(), GATHER);
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
    const { key, talk, said = 0 } = { ...this.#header?.dataset, ...this.querySelector('[data-seat-part="wait"]')?.dataset };
    if (key?.startsWith("closed")) this.#hush();
    if (key && key !== this.getAttribute("key")) return this.#anew();
    if (talk !== undefined && talk !== this.#talk && !this.#isTyped) {
      this.#talk = talk;
      this.#refresh("#seat-watch, #seat-hand, #seat-told");
    }
    if (this.#isBehind(said)) this.#listLater();
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

  get #notes() {
    return [...this.querySelectorAll("[data-message]")];
  }

  /* Whether the list lacks what is newer than all that it has. */
  #isBehind(...numbers) {
    return Math.max(0, ...numbers) > Math.max(0, ...this.#notes.map(({ dataset }) => dataset.message));
  }

  /* A message is shown from its frame; the list has it when it is opened, or a while later. */
  #say({ id, text, by, about }) {
    if (!this.#toast((id ?? "").replace("message-", ""), text, by, about)) return;
    const menu = this.querySelector("#seat-messages");
    menu.hidden = false;
    menu.querySelector(".badge").textContent = this.#told.size;
    if (menu.open) this.#fetchList();
    else this.#listLater();
  }

  #toast(number, text, by, about) {
    if (number && this.#told.has(number)) return false;
    if (number) this.#told.add(number);
    const isEnd = about === END;
    if (isEnd) shown.filter((one) => one.isEnd).forEach(({ note }) => note?.remove()); // it says when anew
    shown.push({ note: toast("info", `${by ? `${by}: ` : ""}${text}`, READ), isEnd });
    return true;
  }

  /* What was said of the lab's end is over with it, and its files are below. */
  #hush() {
    for (const { note } of shown.splice(0)) note?.remove();
  }

  #listLater() {
    const [least, more] = LATER;
    this.#list ??= setTimeout(() => this.#fetchList(), least + Math.random() * more);
  }

  #catchUp() {
    if (this.#isBehind(...this.#told)) this.#fetchList();
  }

  #fetchList() {
    clearTimeout(this.#list);
    this.#list = undefined;
    this.#refresh("#seat-messages");
  }

  /* What no frame told is told now. */
  #announce() {
    for (const note of this.#notes.reverse()) {
      const { message, by, about } = note.dataset;
      this.#toast(message, note.querySelector("[data-text]").textContent, by, about);
    }
  }

  /* Who reads the list goes on reading it. */
  #keepOpen({ id, open }, detail) {
    if (id === "seat-messages" && open) detail.serverResponse = detail.serverResponse.replace("<details", "<details open");
  }

  #watched(names) {
    const place = this.querySelector("[data-watchers]");
    if (!place) return;
    const text = names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} looking at your terminal.` : "";
    if (place.textContent !== text) place.textContent = place.title = text;
    place.hidden = !text;
  }
}

customElements.define("lab-seat", LabSeat);
