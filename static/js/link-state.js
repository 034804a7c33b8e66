/* <link-state>: whether what one sees keeps itself up to date, said honestly. */

const PATIENCE = 1200; // ms; a hiccup shorter than this is not worth a word

class LinkState extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    this.setAttribute("role", "status");
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  /** Take a Socket's state. `quiet`: say nothing while all is well. */
  show(name, { reason = "" } = {}) {
    clearTimeout(this.#timer);
    if (name === "open") this.#say("open", this.hasAttribute("quiet") ? "" : "live · changes appear by themselves");
    else if (name === "stopped") this.#say("stopped", reason || "Not live any more. Reload the page.");
    else if (name === "offline") this.#say("away", "No network: this may be out of date.");
    else if (this.dataset.state !== "away") {
      this.#timer = setTimeout(() => this.#say("away", "Reconnecting: this may be out of date."), PATIENCE);
    }
  }

  #say(state, text) {
    this.dataset.state = state;
    if (this.textContent !== text) this.textContent = text;
  }
}

customElements.define("link-state", LinkState);
