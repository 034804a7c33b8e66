/* <lab-look>: who may type in this terminal is said at once; another sandbox is another page. */
import { Socket } from "./socket.js";

class LabLook extends HTMLElement {
  #socket;
  #aborter;

  connectedCallback() {
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    const refresh = () => window.htmx?.trigger("#look-bar", "refresh");
    this.#socket = new Socket(this.getAttribute("socket"), { open: refresh, message: refresh });
    this.#socket.connect();
    document.addEventListener("htmx:afterSettle", () => this.#settled(), { signal });
  }

  disconnectedCallback() {
    this.#aborter.abort();
    this.#socket.dispose();
  }

  #settled() {
    const { sandbox, status, pending } = this.querySelector("#look-bar")?.dataset ?? {};
    if (sandbox === undefined) return;
    if (sandbox !== this.getAttribute("sandbox")) {
      location.reload();
      return;
    }
    const terminal = this.querySelector("sandbox-terminal");
    for (const [name, value] of Object.entries({ status, pending })) {
      if (terminal && terminal.getAttribute(name) !== value) terminal.setAttribute(name, value);
    }
  }
}

customElements.define("lab-look", LabLook);
