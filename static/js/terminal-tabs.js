/* The tabs of a sandbox's terminals: one roving tab stop, arrows between them, Delete closes.
 * The cross on the chosen one is for the pointer: a tab may hold no button, so the menu has one that says the same. */

const NAMES = ["main", "two", "three", "four", "five", "six", "seven", "eight"];

/** The first name that is not taken, or null. */
export const freeName = (taken) => NAMES.find((name) => !taken.includes(name)) ?? null;

const rank = (name) => (NAMES.includes(name) ? NAMES.indexOf(name) : NAMES.length);

/** Each name once, in the order in which they are given out; others come last. */
export const inOrder = (names) => [...new Set(names)].sort((one, other) => rank(one) - rank(other));

export class Tabs {
  /** `acts`: `choose(name)`, `close(name)`. */
  constructor(list, acts) {
    this.list = list;
    this.acts = acts;
    list.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#uncover()).observe(list); // what stands beside it takes room, too
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show these names, the chosen one selected. */
  show(names, chosen) {
    const key = `${names}|${chosen}`;
    if (key === this.shown) return;
    this.shown = key;
    const had = this.list.contains(document.activeElement);
    this.list.replaceChildren(...names.map((name) => this.#tab(name, name === chosen)));
    this.#uncover();
    if (had) this.focus();
  }

  /* The chosen one in sight, without moving the page. */
  #uncover() {
    const [frame, tab] = [this.list, this.list.querySelector('[aria-selected="true"]')].map((one) => one?.getBoundingClientRect());
    if (tab) this.list.scrollLeft += Math.min(tab.left - frame.left, 0) || Math.max(tab.right - frame.right, 0);
  }

  focus() {
    this.list.querySelector('[aria-selected="true"]')?.focus();
  }

  #tab(name, chosen) {
    const tab = document.createElement("button");
    Object.assign(tab, { type: "button", className: "tab", id: `tab-${name}`, textContent: name, tabIndex: chosen ? 0 : -1 });
    tab.dataset.name = name;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(chosen));
    tab.setAttribute("aria-controls", `screen-${name}`);
    tab.setAttribute("aria-keyshortcuts", "Delete");
    if (chosen) tab.append(this.#cross(name));
    return tab;
  }

  #cross(name) {
    const cross = document.createElement("span");
    Object.assign(cross, { className: "tab-close", textContent: "✕", title: `Close ${name} (Delete)` });
    cross.setAttribute("aria-hidden", "true");
    return cross;
  }

  #click({ target }) {
    const tab = target.closest("[role=tab]");
    if (!tab) return;
    if (target.closest(".tab-close")) this.acts.close(tab.dataset.name);
    else this.acts.choose(tab.dataset.name);
  }

  #key(event) {
    const tabs = [...this.list.querySelectorAll("[role=tab]")];
    const at = tabs.indexOf(event.target);
    if (at < 0) return;
    if (event.key === "Delete") this.acts.close(event.target.dataset.name);
    else if (event.key === "ArrowRight") tabs[(at + 1) % tabs.length].click();
    else if (event.key === "ArrowLeft") tabs[(at - 1 + tabs.length) % tabs.length].click();
    else return;
    event.preventDefault();
    this.focus();
  }
}
