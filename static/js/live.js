/* <sandbox-live>: one sandbox's page stays true, and hands figures and output to who shows them. */
import { engine } from "./engine.js";
import { Socket } from "./socket.js";
import { record, reset } from "./stats.js";

const GATHER = 120; // ms; nudges that come together are answered once
const POLL = 30_000; // ms; repairs a nudge that was lost
const UNDER_WAY = '[data-pending]:not([data-pending=""]), .badge[data-status="queued"]';

class SandboxLive extends HTMLElement {
  #socket;
  #timer;
  #poll;
  #seen = false;
  #followed = new Set();
  #aborter;

  connectedCallback() {
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    this.#socket = new Socket(this.getAttribute("socket"), {
      open: () => this.#opened(),
      message: (message) => this.#message(message),
      state: (name, detail) => this.#state(name, detail),
    });
    this.addEventListener("output-wanted", (event) => this.#follow(event.detail), { signal });
    this.addEventListener("output-enough", (event) => this.#unfollow(event.detail), { signal });
    document.addEventListener("htmx:afterSettle", () => this.#tellTerminal(), { signal });
    this.#socket.connect();
    this.#poll = setInterval(() => !document.hidden && this.#refresh("[data-part]"), POLL);
  }

  disconnectedCallback() {
    this.#aborter.abort();
    this.#socket.dispose();
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
  }

  get sandbox() {
    return this.getAttribute("sandbox");
  }

  #state(name, detail) {
    for (const state of this.querySelectorAll("link-state")) state.show(name, detail);
  }

  #opened() {
    for (const id of this.#followed) this.#socket.send({ type: "follow", command: id });
    // What happened since the page was made was not told. At first that is only a moment.
    if (this.#seen || this.querySelector(UNDER_WAY)) this.#refresh("[data-part], [data-command]");
    this.#seen = true;
  }

  #message(message) {
    switch (message.type) {
      case "changed":
        this.#timer ??= setTimeout(() => this.#refresh("[data-part]"), GATHER);
        break;
      case "history":
        reset(this.sandbox, message.samples);
        break;
      case "stats":
        record(this.sandbox, [message.sample]);
        break;
      case "output":
      case "output_skipped":
        this.querySelector(`command-output[command="${CSS.escape(message.command)}"]`)?.receive(message);
        break;
      case "command":
        this.#refresh(`[data-part="commands"], [data-command="${CSS.escape(message.id)}"]`);
        break;
      case "engine":
        engine(message.unreachable_since);
    }
  }

  #refresh(selector) {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const part of this.querySelectorAll(selector)) window.htmx?.trigger(part, "refresh");
  }

  #follow(id) {
    this.#followed.add(id);
    this.#socket?.send({ type: "follow", command: id });
  }

  #unfollow(id) {
    this.#followed.delete(id);
    this.#socket?.send({ type: "unfollow", command: id });
  }

  /* The header is the page's truth; the terminal shows what it means for typing. */
  #tellTerminal() {
    const header = this.querySelector('[data-part="header"]');
    const terminal = this.querySelector("sandbox-terminal");
    if (!header || !terminal) return;
    for (const name of ["status", "pending"]) {
      if (terminal.getAttribute(name) !== header.dataset[name]) terminal.setAttribute(name, header.dataset[name]);
    }
  }
}

customElements.define("sandbox-live", SandboxLive);
