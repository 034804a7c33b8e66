/* The launch form: a picked image fills in its own limits, and the side says what it takes and when it starts. */
import { engine } from "./engine.js";
import { size } from "./format.js";
import { Socket } from "./socket.js";

const SIZE = /^\s*(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?\s*$/i;
const POWER = { "": 0, b: 0, k: 1, m: 2, g: 3, t: 4 };

/** Bytes from "512m", "1.5 GB"; null for what is not a size. */
export function bytes(text) {
  const match = SIZE.exec(text);
  return match ? Number(match[1]) * 1024 ** POWER[match[2].toLowerCase()] : null;
}

class LaunchForm {
  constructor(form) {
    this.form = form;
    form.addEventListener("change", (event) => event.target.name === "image" && this.pick(event.target));
    form.addEventListener("input", (event) => event.target.dataset.fill === "memory" && this.tell());
    new Socket("/ws/sandboxes/", { message: (message) => message.type === "engine" && this.hear(message.unreachable_since) }).connect();
    this.tell();
  }

  hear(since) {
    engine(since);
    this.tell();
  }

  get picked() {
    return this.form.querySelector('[name="image"]:checked');
  }

  /* Only placeholders: an empty field means the image's own, also when the image changes later. */
  pick(image) {
    for (const field of this.form.querySelectorAll("[data-fill]")) {
      field.placeholder = image.dataset[field.dataset.fill] ?? field.placeholder;
    }
    this.tell();
  }

  tell() {
    if (!this.picked) return;
    const typed = this.form.querySelector('[data-fill="memory"]')?.value ?? "";
    const wanted = typed.trim() ? bytes(typed) : Number(this.picked.dataset.bytes);
    const memory = this.form.querySelector("[data-takes-memory]");
    if (memory) memory.textContent = wanted === null ? "?" : size(wanted);
    this.measure(wanted ?? 0);
    this.tellReady();
  }

  tellReady() {
    const ready = this.form.querySelector("[data-takes-ready]");
    const isAway = document.getElementById("engine")?.hidden === false;
    if (ready) ready.textContent = isAway ? ready.dataset.awayText : this.picked.dataset.here === "1" ? ready.dataset.hereText : ready.dataset.pullText;
  }

  measure(wanted) {
    const bar = this.form.querySelector("[data-takes-progress]");
    if (!bar) return;
    const sum = Number(bar.dataset.used) + wanted;
    bar.value = Math.min(sum, bar.max);
    bar.classList.toggle("high", sum > bar.max);
  }
}

const form = document.querySelector('[data-page="launch"] form:has([name="launch_key"])');
if (form) new LaunchForm(form);
