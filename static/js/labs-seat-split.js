/* <pane-split>: the bar between the sheet and the terminal; dragged, or moved with the arrow keys. */

const KEPT = "sandboxes.seat.split"; // where the browser keeps the sheet's share, in percent
const [LEAST, MOST, USUAL, STEP] = [20, 70, 40, 2];

const bounded = (share) => Math.min(Math.max(share, LEAST), MOST);

function kept() {
  try {
    return bounded(Number(localStorage.getItem(KEPT)) || USUAL);
  } catch {
    return USUAL; // a browser that keeps nothing
  }
}

function keep(share) {
  try {
    localStorage.setItem(KEPT, String(share));
  } catch {
    // then it is forgotten
  }
}

class PaneSplit extends HTMLElement {
  #share = kept();

  connectedCallback() {
    this.tabIndex = 0;
    const facts = { role: "separator", "aria-orientation": "vertical", "aria-label": "Width of the sheet", "aria-controls": "seat-sheet", "aria-valuemin": LEAST, "aria-valuemax": MOST };
    for (const [name, value] of Object.entries(facts)) this.setAttribute(name, value);
    this.addEventListener("pointerdown", (event) => this.setPointerCapture(event.pointerId));
    this.addEventListener("pointermove", (event) => this.hasPointerCapture(event.pointerId) && this.#drag(event));
    this.addEventListener("pointerup", () => keep(this.#share));
    this.addEventListener("dblclick", () => this.#settle(USUAL));
    this.addEventListener("keydown", (event) => this.#key(event));
    this.#show(this.#share);
  }

  #drag(event) {
    const box = this.parentElement.getBoundingClientRect();
    this.#show(((event.clientX - box.left) / box.width) * 100);
  }

  #key(event) {
    const to = { ArrowLeft: this.#share - STEP, ArrowRight: this.#share + STEP, Home: LEAST, End: MOST, Enter: USUAL }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#settle(to);
  }

  #settle(share) {
    this.#show(share);
    keep(this.#share);
  }

  #show(share) {
    this.#share = Math.round(bounded(share) * 10) / 10;
    this.parentElement.style.setProperty("--sheet", `${this.#share}%`);
    this.setAttribute("aria-valuenow", String(Math.round(this.#share)));
  }
}

customElements.define("pane-split", PaneSplit);
