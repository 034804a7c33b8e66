/* <lab-wall>: the tiles stay true, once a second; who is ticked stays ticked, whatever comes. */
import "./labs-wall-look.js";
import "./labs-wall-matrix.js";
import { engine } from "./engine.js";
import { duration } from "./format.js";
import { arrange, paint, presence } from "./labs-wall-tile.js";
import { Socket } from "./socket.js";
import { toast } from "./toasts.js";

const NEWS = {
  open: "The lab is open.",
  closing: "The lab is over: its work is being saved. Nothing can be sent or run here any more.",
  closed: "The lab is closed. Nothing can be sent or run here any more.",
};
const ORDER = 5000; // ms between two looks at the order: tiles must not jump about

class LabWall extends HTMLElement {
  #socket;
  #timers = {};
  #moved = 0;
  #seen = false;
  #hands; // changes with the raised hands
  #turning = false; // what the page says of the lab is on its way
  #aborter;

  connectedCallback() {
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    this.#socket = new Socket(this.getAttribute("socket"), {
      open: () => this.#opened(),
      message: (message) => this.#message(message),
      state: (name, detail) => this.querySelector("link-state")?.show(name, detail),
    });
    this.#socket.connect();
    this.#timers.clock = setInterval(() => this.#tick(), 1000);
    this.addEventListener("change", (event) => event.target.name === "seat" && this.#ticked(true), { signal });
    this.addEventListener("htmx:afterRequest", ({ target, detail }) => target.id === "many" && detail.successful && emptied(target), { signal });
    this.#ticked(false);
  }

  disconnectedCallback() {
    this.#aborter.abort();
    this.#socket.dispose();
    clearInterval(this.#timers.clock);
  }

  #opened() {
    if (this.#seen) this.#anew(); // what happened meanwhile was not told
    this.#seen = true;
    this.#hands = undefined;
  }

  #message(message) {
    if (message.type === "tiles") this.#tiles(message);
    else if (message.type === "engine") engine(message.unreachable_since);
  }

  #tiles({ rows, hands, lab }) {
    if (lab && lab !== this.#state) this.#turn();
    if (hands !== this.#hands) refreshed(document.getElementById("help"));
    this.#hands = hands;
    const marks = this.querySelector("[data-marks]").content;
    let isNew = false;
    for (const [seat, row] of Object.entries(rows)) {
      const tile = document.getElementById(`tile-${seat}`);
      if (tile) paint(tile, row, marks);
      else isNew = true;
    }
    this.#count();
    if (new URLSearchParams(location.search).get("section")) return;
    for (const word of this.querySelectorAll("#wall-told [data-tally]")) {
      say(word, String(this.querySelectorAll(`.tile[data-${word.dataset.tally}="1"]`).length));
    }
    if (isNew) this.#anew();
  }

  get #state() {
    return document.getElementById("wall-told").dataset.state;
  }

  /* The lab has another end, or is over: what the page says, and what may be done from it, once more. */
  async #turn() {
    if (this.#turning) return;
    this.#turning = true;
    const [before] = this.#state.split(" ");
    await this.#fetch("#wall-told");
    const [now] = this.#state.split(" ");
    if (now !== before) {
      toast("info", NEWS[now] ?? `The lab is ${now}.`);
      for (const part of ["#wall-acts", "#wall-known", "#tiles", "#help"]) if (this.querySelector(part)) await this.#fetch(part);
      this.#ticked(false);
    }
    this.#turning = false;
  }

  /* A part of this very page; each by itself, or htmx would have one wait for another. */
  #fetch(part) {
    const how = { source: part, target: part, select: part, swap: "outerHTML" };
    return window.htmx?.ajax("GET", location.pathname + location.search, how)?.catch(() => {});
  }

  /* Seats that this page does not know yet: the whole wall once more. */
  #anew() {
    const ticked = [...this.querySelectorAll('[name="seat"]:checked')].map((one) => one.value);
    if (Date.now() - this.#moved < ORDER) return;
    this.#moved = Date.now();
    this.#fetch("#tiles")?.then(() => {
      for (const one of this.querySelectorAll('[name="seat"]')) one.checked = ticked.includes(one.value);
      this.#count();
    });
  }

  /* How many "everyone" are. */
  #count() {
    const word = this.querySelector("[data-meant]");
    const words = [...this.querySelectorAll(".tile [data-word]")].map((one) => one.textContent);
    if (word) say(word, String(words.filter((one) => one !== "closed").length));
  }

  #tick() {
    const now = Date.now() / 1000;
    for (const tile of this.querySelectorAll(".tile")) words(tile, now, this.#state.startsWith("clos"));
    const wall = this.querySelector("#tiles");
    if (Date.now() - this.#moved < ORDER || wall.matches(":hover, :focus-within")) return;
    this.#moved = Date.now();
    arrange(wall, this.getAttribute("sort"));
  }

  /* Ticking a tile means the ticked ones; with none left it is everyone again. */
  #ticked(choose) {
    const count = this.querySelectorAll('[name="seat"]:checked').length;
    const word = this.querySelector("[data-ticked]");
    if (!word) return;
    word.textContent = count ? `${count} ticked` : "the ticked";
    if (choose) this.querySelector(`[name="all"][value="${count ? "" : "1"}"]`).checked = true;
  }
}

/* The queue of raised hands anew; the big screen has none, and htmx throws where there is nothing. */
function refreshed(queue) {
  if (queue) window.htmx?.trigger(queue, "refresh");
}

/* It was done: what was typed for it goes, who is ticked stays. */
function emptied(form) {
  for (const field of form.querySelectorAll("textarea, [type=file]")) field.value = "";
  for (const menu of form.querySelectorAll("details[open]")) menu.open = false;
}

/* How long since somebody did something there, and since when a hand is up. */
function words(tile, now, isOver) {
  const { hand } = tile.dataset;
  say(tile.querySelector("[data-idle]"), presence(tile.dataset, now, isOver));
  if (hand) say(tile.querySelector("[data-waits]"), duration(Math.max(now - Number(hand), 0)));
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

customElements.define("lab-wall", LabWall);
