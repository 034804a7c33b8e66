/* <stat-figure>, <stat-meter>, <stat-spark>: a sandbox's present figures, small. "–" means not known. */
import { percent, rate, size } from "./format.js";
import { latest, runs, samples, watch } from "./stats.js";
import { area, line, shape } from "./svg.js";

const HIGH = 0.85; // of the limit; from here on a bar is red

class Watching extends HTMLElement {
  connectedCallback() {
    this.leave = watch(this.id_, () => this.draw());
    this.timer = setInterval(() => this.draw(), 15_000); // what is not told any more becomes "–"
    this.draw();
  }

  disconnectedCallback() {
    this.leave?.();
    clearInterval(this.timer);
  }

  get id_() {
    return this.getAttribute("sandbox") ?? this.closest("sandbox-live")?.getAttribute("sandbox");
  }
}

const share = (sample) => (sample.cpu === null || sample.cpu === undefined || !sample.cpus ? null : sample.cpu / sample.cpus);

const FIGURES = {
  cpu: (sample) => [percent(share(sample))],
  memory: (sample) => [size(sample.memory), sample.memory_limit && sample.memory !== null ? percent(sample.memory / sample.memory_limit) : ""],
  network: (sample) => [`↓ ${rate(sample.rx_rate)}   ↑ ${rate(sample.tx_rate)}`],
  disk: (sample) => [`read ${rate(sample.read_rate)} · write ${rate(sample.write_rate)}`],
  pids: (sample) => [sample.pids ?? "–"],
};

/** One figure in words, `kind` cpu | memory | network | disk | pids. */
class StatFigure extends Watching {
  draw() {
    const sample = latest(this.id_);
    const [text, aside] = sample ? FIGURES[this.getAttribute("kind")](sample) : ["–"];
    const key = `${text}|${aside ?? ""}`;
    if (this.shown === key) return;
    this.shown = key;
    this.replaceChildren(String(text));
    if (!aside) return;
    const small = document.createElement("small");
    small.textContent = aside;
    this.append(" ", small);
  }
}

/** A bar of memory in use against `limit` (bytes). */
class StatMeter extends Watching {
  draw() {
    const sample = latest(this.id_);
    const limit = Number(this.getAttribute("limit"));
    if (!sample || sample.memory === null || sample.memory === undefined || !limit) return this.rest(limit);
    this.bar ??= this.make();
    this.bar.max = limit;
    this.bar.value = sample.memory;
    this.bar.classList.toggle("high", sample.memory > HIGH * limit);
    this.words.textContent = pair(sample.memory, limit);
  }

  rest(limit) {
    if (!this.bar) return;
    this.bar.value = 0;
    this.words.textContent = `of ${size(limit)}`;
  }

  make() {
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", "Memory in use");
    this.words = document.createElement("span");
    this.replaceChildren(bar, this.words);
    return bar;
  }
}

/* "312 of 512 MB": the unit once when it is the same. */
function pair(used, limit) {
  const [number, unit] = size(used).split(" ");
  return size(limit).endsWith(` ${unit}`) ? `${number} of ${size(limit)}` : `${number} ${unit} of ${size(limit)}`;
}

const WIDTH = 60; // seconds, one unit each
const HEIGHT = 24;

/** CPU of the last minute as a small line. */
class StatSpark extends Watching {
  draw() {
    this.picture ??= this.make();
    const list = samples(this.id_);
    const points = runs(list, share, list.at(-1)?.at ?? 0, WIDTH).map((run) =>
      run.map(([x, y]) => [x + WIDTH, HEIGHT - 1 - Math.min(y, 1) * (HEIGHT - 3)]),
    );
    this.stroke.setAttribute("d", line(points));
    this.fill.setAttribute("d", area(points, HEIGHT));
  }

  make() {
    this.fill = shape("path", { class: "spark-fill" });
    this.stroke = shape("path", { class: "spark-line" });
    const picture = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, this.fill, this.stroke);
    this.replaceChildren(picture);
    return picture;
  }
}

customElements.define("stat-figure", StatFigure);
customElements.define("stat-meter", StatMeter);
customElements.define("stat-spark", StatSpark);
