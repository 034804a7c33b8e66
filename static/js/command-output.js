/* <command-output>: both streams of a command as they come. Before and after, the server's own text stands. */
import { size } from "./format.js";

const KEPT = 256 * 1024; // characters of a stream on the page; the download has all that was kept
const NEAR = 24; // px from the end that count as being there

/* Text of one stream: decoded across frames, shown once a frame, never more than KEPT. */
class Stream {
  #decoder = new TextDecoder("utf-8", { fatal: false });
  #pending = "";
  #next = 0; // the byte that comes next
  #begun = false;
  #length = 0;

  constructor(box) {
    this.box = box;
    this.pre = box.querySelector("pre");
    this.total = box.querySelector("[data-stream-size]");
  }

  add(offset, bytes) {
    this.#begin();
    if (offset + bytes.length <= this.#next) return; // known: it was replayed
    if (offset > this.#next) this.skip(this.#next, offset);
    const fresh = bytes.subarray(this.#next - offset);
    this.#next = offset + bytes.length;
    this.#write(this.#decoder.decode(fresh, { stream: true }));
  }

  skip(from, to) {
    this.#begin();
    if (to <= this.#next) return;
    this.#flush();
    const note = document.createElement("span");
    note.className = "gap";
    note.textContent = `${size(to - Math.max(from, this.#next))} not shown here`;
    this.#append(note);
    this.#next = to;
    this.#decoder = new TextDecoder("utf-8", { fatal: false });
  }

  #begin() {
    if (this.#begun) return;
    this.#begun = true;
    this.box.hidden = false;
    this.pre.replaceChildren();
  }

  #write(text) {
    if (!this.#pending) requestAnimationFrame(() => this.#flush());
    this.#pending += text;
  }

  #flush() {
    this.total.textContent = size(this.#next);
    const text = this.#pending;
    this.#pending = "";
    if (text) this.#append(text.slice(-KEPT));
  }

  /* At the end it follows; one who has scrolled up is left in peace. */
  #append(node) {
    const { pre } = this;
    const follows = pre.scrollHeight - pre.scrollTop - pre.clientHeight < NEAR;
    pre.append(node);
    this.#length += (node.textContent ?? node).length;
    while (this.#length > KEPT && pre.childNodes.length > 1) {
      this.#length -= pre.firstChild.textContent.length;
      pre.firstChild.remove();
    }
    if (follows) pre.scrollTop = pre.scrollHeight;
  }
}

class CommandOutput extends HTMLElement {
  connectedCallback() {
    if (this.getAttribute("status") !== "running") return;
    this.streams = {};
    for (const box of this.querySelectorAll("[data-stream-box]")) this.streams[box.dataset.streamBox] = new Stream(box);
    this.#say("output-wanted");
  }

  disconnectedCallback() {
    this.live?.dispatchEvent(new CustomEvent("output-enough", { detail: this.getAttribute("command") }));
  }

  /** Take an `output` or `output_skipped` message. */
  receive(message) {
    const stream = this.streams?.[message.stream];
    if (!stream) return;
    if (message.type === "output_skipped") stream.skip(message.from ?? message.offset, message.to ?? message.offset + (message.bytes ?? 0));
    else stream.add(message.offset, Uint8Array.from(atob(message.data), (char) => char.charCodeAt(0)));
  }

  #say(type) {
    this.live = this.closest("sandbox-live");
    this.live?.dispatchEvent(new CustomEvent(type, { detail: this.getAttribute("command") }));
  }
}

customElements.define("command-output", CommandOutput);
