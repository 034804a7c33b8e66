/* <stat-chart kind limit>: the last ten minutes of one sandbox, with a read-out under pointer and keys. */
import { duration, percent, rate, size } from "./format.js";
import { now, runs, samples, SPAN, watch } from "./stats.js";
import { area, line, shape } from "./svg.js";

const HEIGHT = 68;
const STEP = 10; // seconds an arrow key moves
const CALM = 10_000; // ms between two summaries for a screen reader

/* What is drawn: a name, one or two lines, and how a value reads. */
const KINDS = {
  cpu: { name: "CPU", lines: [["cpu"]], read: (value, limit) => percent(value / limit), least: 0.01 },
  memory: { name: "Memory", lines: [["memory"]], read: (value) => size(value), least: 1 },
  network: { name: "Network", lines: [["rx_rate", "↓"], ["tx_rate", "↑"]], read: (value) => rate(value), least: 1024 },
  disk: { name: "Disk", lines: [["read_rate", "read"], ["write_rate", "write"]], read: (value) => rate(value), least: 1024 },
  pids: { name: "Processes", lines: [["pids"]], read: (value) => String(value), least: 4 },
};

class StatChart extends HTMLElement {
  connectedCallback() {
    this.kind = KINDS[this.getAttribute("kind")];
    this.limit = Number(this.getAttribute("limit")) || null;
    this.sandbox = this.closest("sandbox-live")?.getAttribute("sandbox");
    if (!this.kind || !this.sandbox) return;
    if (!this.picture) this.make();
    this.leave = watch(this.sandbox, () => this.draw());
    this.timer = setInterval(() => this.draw(), 5000); // a line that is not told any more moves away
    this.draw();
  }

  disconnectedCallback() {
    this.leave?.();
    clearInterval(this.timer);
  }

  make() {
    this.fill = shape("path", { class: "chart-fill" });
    this.strokes = this.kind.lines.map((_, at) => shape("path", { class: at ? "chart-line second" : "chart-line" }));
    this.cursor = shape("path", { class: "chart-cursor" });
    const edge = shape("path", { class: this.getAttribute("kind") === "memory" ? "chart-limit" : "chart-grid", d: `M0 1H${SPAN}` });
    const floor = shape("path", { class: "chart-grid", d: `M0 ${HEIGHT - 0.5}H${SPAN}` });
    this.picture = shape(
      "svg",
      { viewBox: `0 0 ${SPAN} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: "0" },
      ...[this.fill, floor, this.limit ? edge : "", ...this.strokes, this.cursor].filter(Boolean),
    );
    this.words = document.createElement("span");
    this.words.className = "chart-read";
    this.replaceChildren(this.picture, this.words);
    this.listen();
  }

  listen() {
    this.picture.addEventListener("pointermove", ({ clientX }) => {
      const box = this.picture.getBoundingClientRect();
      this.look(((clientX - box.left) / box.width) * SPAN);
    });
    this.picture.addEventListener("pointerleave", () => this.look(null));
    this.picture.addEventListener("blur", () => this.look(null));
    this.picture.addEventListener("focus", () => this.picture.matches(":focus-visible") && this.look(SPAN));
    this.picture.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -STEP, ArrowRight: STEP, Home: -SPAN, End: SPAN }[event.key];
      if (!by) return;
      event.preventDefault();
      this.words.setAttribute("aria-live", "polite"); // what keys ask for is read out, what time changes is not
      this.look(Math.min(Math.max((this.at ?? SPAN) + by, 0), SPAN));
    });
  }

  draw() {
    if (document.hidden) return;
    const list = samples(this.sandbox);
    this.end = now(this.sandbox);
    const values = this.kind.lines.map(([key]) => runs(list, (sample) => sample[key], this.end, SPAN));
    const top = this.top(values);
    const placed = values.map((found) => found.map((run) => run.map(([x, y]) => [x + SPAN, HEIGHT - 1 - (Math.min(y, top) / top) * (HEIGHT - 2)])));
    placed.forEach((found, at) => this.strokes[at].setAttribute("d", line(found)));
    this.fill.setAttribute("d", area(placed[0], HEIGHT));
    this.describe(values[0].flat().map(([, y]) => y));
    if (this.at === null || this.at === undefined) return;
    this.words.setAttribute("aria-live", "off");
    this.look(this.at);
  }

  /* With a limit the scale is the limit; without, the highest value with some air. */
  top(values) {
    if (this.limit) return this.limit;
    return Math.max(this.kind.least, ...values.flat(2).map(([, y]) => y)) * 1.1;
  }

  describe(values) {
    if (values.length && performance.now() - (this.told ?? -CALM) < CALM) return;
    if (values.length) this.told = performance.now();
    const read = (value) => this.kind.read(value, this.limit);
    const text = values.length
      ? `now ${read(values.at(-1))}, highest ${read(Math.max(...values))}, on average ${read(values.reduce((sum, value) => sum + value, 0) / values.length)}`
      : "nothing known yet";
    this.picture.setAttribute("aria-label", `${this.kind.name}, last 10 minutes: ${text}`);
  }

  /* The read-out at x (seconds from the left edge); null: none. */
  look(x) {
    this.at = x;
    const when = x === null ? null : this.end - SPAN + x;
    const sample = when && nearest(samples(this.sandbox), when);
    this.cursor.setAttribute("d", x === null ? "" : `M${x.toFixed(1)} 0V${HEIGHT}`);
    this.words.textContent = x === null ? "" : `${this.value(sample)} · ${ago(SPAN - x)}`;
  }

  value(sample) {
    if (!sample) return "not known";
    return this.kind.lines
      .map(([key, sign]) => `${sign ? `${sign} ` : ""}${sample[key] === null || sample[key] === undefined ? "–" : this.kind.read(sample[key], this.limit)}`)
      .join(" ");
  }
}

const ago = (seconds) => (seconds < 2 ? "now" : `${duration(seconds)} ago`);

/* The sample closest to a moment, if one is within three seconds of it. */
function nearest(list, when) {
  let best = null;
  for (const sample of list) if (!best || Math.abs(sample.at - when) < Math.abs(best.at - when)) best = sample;
  return best && Math.abs(best.at - when) <= 3 ? best : null;
}

customElements.define("stat-chart", StatChart);
