/* <terminal-replay>: a recording in the player, with speed, idle time left out, search, and links to moments. */
import { Clock, IDLE, parse, stamp } from "./replay-cast.js";
import { Search } from "./replay-search.js";
import { toast } from "./toasts.js";

const FONT = '"JetBrains Mono", ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';
const LATER = 0.002; // s; a moment at which what came then is drawn
const TICK = 200; // ms between two looks at the player's clock

class TerminalReplay extends HTMLElement {
  #player = null;
  #timer = 0;
  #playing = false;
  #queue = Promise.resolve();

  async connectedCallback() {
    try {
      await this.#load();
    } catch (error) {
      console.warn("The recording could not be shown:", error);
      this.#say("This recording could not be loaded. Load the page again; if that does not help, download it.");
    }
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    this.#player?.dispose();
  }

  #part(name) {
    return this.querySelector(`[data-${name}]`);
  }

  #say(text) {
    this.#part("says").hidden = !text;
    this.#part("says").textContent = text;
  }

  async #load() {
    const answer = await fetch(this.getAttribute("src"), { headers: { Accept: "application/x-asciicast" } });
    if (!answer.ok) throw new Error(`the server said ${answer.status}`);
    this.cast = parse(await answer.text());
    await document.fonts?.load(`15px "JetBrains Mono"`).catch(() => {});
    this.#wire();
    this.#remarks();
    this.#part("player").style.setProperty("--ratio", String(ratio(this.cast)));
    this.toggleAttribute("moved", wished() > 0);
    await this.#show(Math.min(wished(), this.cast.duration), false);
    this.#say(this.cast.events.some(([, code]) => code === "o") ? "" : "Nothing was shown in this terminal while it was recorded.");
    this.#timer = setInterval(() => this.#tick(), TICK);
    this.setAttribute("state", "ready");
  }

  #wire() {
    this.search = new Search(this.#part("search"), this.cast, (time) => this.jump(time));
    this.#part("speed").addEventListener("change", () => this.#again());
    this.#part("idle").addEventListener("change", () => this.#again());
    this.#part("link").addEventListener("click", () => this.#copyLink());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("[type=search], textarea")) return;
      event.preventDefault();
      this.search.focus();
    });
  }

  /** Seconds of the recording at which the player stands. */
  get time() {
    return this.#player ? this.clock.toReal(this.#player.getCurrentTime()) : 0;
  }

  /** Show the recording as it was at `time`, and stay there. */
  jump(time) {
    return this.#inTurn(async () => {
      this.toggleAttribute("moved", true); // the large button would stand upon what was looked for
      await this.#player.pause();
      await this.#player.seek(this.clock.toShown(time) + LATER);
      this.#tick();
    });
  }

  /* Another speed or clock is another player, at the same moment. */
  #again() {
    return this.#inTurn(() => this.#show(this.time, this.#playing));
  }

  /* One after the other: the player is asked many things at once by a quick hand. */
  #inTurn(act) {
    this.#queue = this.#queue.then(act).catch((error) => console.warn("The player refused:", error));
    return this.#queue;
  }

  async #show(time, isPlaying) {
    this.#player?.dispose();
    const { header, events } = this.cast;
    const shown = events.length ? events : [[0, "o", ""]];
    this.clock = new Clock(shown, this.#part("idle").checked ? IDLE : Infinity);
    const at = this.clock.toShown(time) + (time ? LATER : 0);
    const recording = { cols: header.width, rows: header.height, events: this.clock.events(shown) };
    this.#player = window.AsciinemaPlayer.create({ data: recording, parser: (data) => data }, this.#part("player"), {
      controls: true,
      cursorMode: "steady",
      fit: "width",
      keystrokeOverlay: events.some(([, code]) => code === "i"),
      poster: `npt:${at}`,
      preload: true,
      speed: Number(this.#part("speed").value),
      startAt: at,
      terminalFontFamily: FONT,
      theme: "sandboxes",
    });
    this.#playing = false;
    for (const [name, isOn] of Object.entries({ playing: true, pause: false, ended: false })) {
      this.#player.addEventListener(name, () => this.#now(isOn));
    }
    if (time || isPlaying) await this.#player.seek(at);
    if (isPlaying) await this.#player.play();
    this.#tick();
  }

  #now(isPlaying) {
    this.#playing = isPlaying;
    this.#tick();
  }

  #tick() {
    const text = `${stamp(this.time)} of ${stamp(this.cast.duration)}`;
    if (this.#part("clock").textContent !== text) this.#part("clock").textContent = text;
  }

  /* What the recorder itself has to say: that something is missing, why it ended. */
  #remarks() {
    const remarks = this.cast.events.filter(([, code]) => code === "m");
    this.#part("remarks").hidden = !remarks.length;
    this.#part("remarks").querySelector("ul").replaceChildren(...remarks.map(([time, , text]) => this.#remark(time, text)));
  }

  #remark(time, text) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "hit" });
    const at = document.createElement("span");
    Object.assign(at, { className: "hit-time num", textContent: stamp(time) });
    const words = document.createElement("span");
    words.textContent = text;
    button.append(at, words);
    button.addEventListener("click", () => this.jump(time));
    row.append(button);
    return row;
  }

  async #copyLink() {
    const address = new URL(location.href);
    address.search = new URLSearchParams({ t: String(Math.ceil(this.time * 100) / 100) });
    address.hash = "";
    history.replaceState(null, "", address);
    try {
      await navigator.clipboard.writeText(address.href);
      toast("success", `Copied: the link to ${stamp(this.time)}.`);
    } catch {
      toast("info", "The link to this moment is in the address bar; copy it from there."); // not on plain http
    }
  }
}

/* Width by height of the tallest screen there was, so that it fits into the window. */
function ratio({ header, events }) {
  const sizes = events.filter(([, code]) => code === "r").map(([, , size]) => size.split("x").map(Number));
  return Math.min(...[[header.width, header.height], ...sizes].map(([cols, rows]) => (cols * 0.6) / (rows * 4 / 3)));
}

/* The moment that the address asks for, in seconds. */
function wished() {
  const time = Number(new URLSearchParams(location.search).get("t"));
  return Number.isFinite(time) && time > 0 ? time : 0;
}

customElements.define("terminal-replay", TerminalReplay);
