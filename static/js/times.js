/* <time-left>, <time-ago> and <time data-local>: times that stay true while a page is open. */
import { clock, day, duration } from "./format.js";

const SOON = 5 * 60;
const ticking = new Set();
let timer = 0;

function tick() {
  for (const element of ticking) element.tick();
}

class Ticking extends HTMLElement {
  connectedCallback() {
    ticking.add(this);
    if (!timer) timer = setInterval(tick, 1000);
    this.tick();
  }

  disconnectedCallback() {
    ticking.delete(this);
    if (!ticking.size) timer = clearInterval(timer) ?? 0;
  }

  /* A text that is the same is not set again: no needless work for a screen reader or a selection. */
  say(text) {
    if (this.textContent !== text) this.textContent = text;
  }
}

/** Counts down to `expires`; below five minutes it carries `data-soon`. */
class TimeLeft extends Ticking {
  tick() {
    const expires = new Date(this.getAttribute("expires"));
    const left = (expires - Date.now()) / 1000;
    if (Number.isNaN(left)) return;
    this.toggleAttribute("data-soon", left < SOON);
    this.say(left <= 0 ? "now" : duration(left));
    this.title ||= `${day(expires)}, ${clock(expires)}`;
  }
}

/** "42 min ago", counted from `at`. */
class TimeAgo extends Ticking {
  tick() {
    const at = new Date(this.getAttribute("at"));
    const past = (Date.now() - at) / 1000;
    if (Number.isNaN(past)) return;
    this.say(past < 10 ? "just now" : `${duration(past)} ago`);
    this.title ||= `${day(at)}, ${clock(at)}`;
  }
}

const SHAPES = { time: clock, date: day, both: (date) => `${day(date)}, ${clock(date)}` };

/** Rewrite the server's times below `root` into the browser's zone. */
export function localise(root) {
  for (const element of root.querySelectorAll("time[data-local][datetime]")) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    element.textContent = (SHAPES[element.dataset.local] ?? SHAPES.both)(date);
    element.title ||= SHAPES.both(date);
  }
}

/* A time is typed as the clock on this person's wall has it: the form takes the zone along, and the hint names it. */
function nameZone(input) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const hint = document.getElementById(input.dataset.zone);
  if (!timeZone) return;
  input.value = timeZone;
  if (hint) hint.textContent = hint.textContent.replace(/time in [^;]+/, `your time, ${timeZone}`);
}

for (const input of document.querySelectorAll("input[data-zone]")) nameZone(input);
customElements.define("time-left", TimeLeft);
customElements.define("time-ago", TimeAgo);
localise(document);
document.addEventListener("htmx:load", (event) => localise(event.target.parentNode ?? document));
document.addEventListener("htmx:oobAfterSwap", () => localise(document));
