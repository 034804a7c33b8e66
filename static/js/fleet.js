/* <sandbox-fleet>: the list stays true. A nudge names a sandbox; its row is fetched, never guessed. */
import { engine } from "./engine.js";
import { replace } from "./keep.js";
import { Socket } from "./socket.js";
import { record } from "./stats.js";

const GATHER = 120; // ms; nudges that come together are fetched together
const APART = 2000; // ms between two fetches of the whole list
const POLL = 30_000; // ms; repairs a nudge that was lost
const ROWS = 40; // ids in one request

class SandboxFleet extends HTMLElement {
  #socket;
  #changed = new Set();
  #timers = {};
  #watched = "";
  #list = null;
  #statuses = "";
  #whole = 0; // when the list was last fetched whole
  #seen = false; // whether the socket was open before
  #aborter;

  connectedCallback() {
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    this.#socket = new Socket(this.getAttribute("socket"), {
      open: () => this.#opened(),
      message: (message) => this.#message(message),
      state: (name, detail) => this.#state(name, detail),
    });
    this.#socket.connect();
    this.#settled();
    this.#timers.poll = setInterval(() => !document.hidden && this.#refresh(), POLL);
    document.addEventListener("htmx:afterSettle", () => this.#settled(), { signal });
    document.addEventListener("visibilitychange", () => !document.hidden && this.#whole < Date.now() - POLL && this.#refresh(), { signal });
  }

  disconnectedCallback() {
    this.#aborter.abort();
    this.#socket.dispose();
    clearInterval(this.#timers.poll);
    clearTimeout(this.#timers.rows);
    clearTimeout(this.#timers.whole);
  }

  #state(name, detail) {
    for (const state of document.querySelectorAll("link-state")) state.show(name, detail);
  }

  #opened() {
    this.#watched = "";
    this.#watch();
    if (this.#seen) this.#refresh(); // what happened meanwhile was not told
    this.#seen = true;
    this.#whole ||= Date.now();
  }

  /* A row that fetched itself anew may have another status now: then the totals are old. */
  #settled() {
    this.#watch();
    const list = document.getElementById("fleet");
    const statuses = [...this.querySelectorAll("tr[data-status]")].map((row) => row.id + row.dataset.status).join();
    if (list === this.#list && statuses !== this.#statuses) this.#refreshSoon();
    this.#list = list;
    this.#statuses = statuses;
  }

  /* Only rows that show figures are watched: the engine is not asked about the others. */
  #watch() {
    const ids = [...new Set([...this.querySelectorAll("stat-spark, stat-meter")].map((one) => one.getAttribute("sandbox")))].slice(0, 100);
    if (ids.join() === this.#watched) return;
    if (this.#socket.send({ type: "watch", ids })) this.#watched = ids.join();
  }

  #message(message) {
    if (message.type === "changed") this.#nudged(message.id);
    else if (message.type === "stats") this.#stats(message);
    else if (message.type === "engine") engine(message.unreachable_since);
  }

  #stats({ at, rows }) {
    for (const [id, row] of Object.entries(rows)) record(id, [{ at, ...row }]);
  }

  #nudged(id) {
    this.#changed.add(id);
    this.#timers.rows ??= setTimeout(() => this.#fetchRows(), GATHER);
  }

  async #fetchRows() {
    const known = [...this.#changed].filter((id) => document.getElementById(`row-${id}`));
    const unknown = this.#changed.size - known.length;
    this.#changed.clear();
    this.#timers.rows = undefined;
    if (unknown || known.length > ROWS) this.#refreshSoon();
    if (!known.length || known.length > ROWS) return;
    const query = new URLSearchParams(known.map((id) => ["id", id]));
    try {
      const answer = await fetch(`/sandboxes/rows/?${query}`, { headers: { "HX-Request": "true" } });
      if (answer.ok) this.#put(known, await answer.text());
    } catch {
      // the poll repairs it
    }
  }

  #put(ids, html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    for (const id of ids) {
      const row = document.getElementById(`row-${id}`);
      const fresh = holder.content.getElementById(`row-${id}`);
      if (row && fresh) replace(row, fresh.outerHTML) || this.#nudged(id);
      else if (row) this.#refreshSoon(); // it is not this person's to see any more
    }
  }

  #refreshSoon() {
    const wait = Math.max(this.#whole + APART - Date.now(), 0);
    this.#timers.whole ??= setTimeout(() => this.#refresh(), wait);
  }

  #refresh() {
    clearTimeout(this.#timers.whole);
    this.#timers.whole = undefined;
    this.#whole = Date.now();
    window.htmx?.trigger("#fleet", "refresh");
  }
}

customElements.define("sandbox-fleet", SandboxFleet);
