/* Keys a terminal must share with the page, and the row of keys that a phone lacks. */

/**
 * Ctrl+Shift+C and F, Shift+F6 (leave) are ours; Ctrl+Shift+V is the browser's, which then pastes.
 * `acts` has `copy`, `find` and `leave`.
 */
export function shareKeys(terminal, acts) {
  terminal.attachCustomKeyEventHandler((event) => {
    const act = actOf(event);
    if (!act) return true;
    if (act !== "paste") {
      event.preventDefault();
      if (event.type === "keydown") acts[act]();
    }
    return false;
  });
}

function actOf(event) {
  if (event.shiftKey && event.key === "F6") return "leave";
  if (!event.ctrlKey || !event.shiftKey || event.altKey) return null;
  return { KeyC: "copy", KeyV: "paste", KeyF: "find" }[event.code] ?? null;
}

const SENT = { escape: "\x1b", tab: "\t", up: "A", down: "B", right: "C", left: "D" };

/** The row of on-screen keys. Its Ctrl holds for the next character typed. */
export class KeyRow {
  #ctrl = false;

  constructor(row, session) {
    this.row = row;
    this.session = session; // gives the session that is shown
    row.addEventListener("pointerdown", (event) => event.preventDefault()); // the keyboard of a phone stays up
    row.addEventListener("click", (event) => this.#press(event.target.closest("[data-key]")?.dataset.key));
  }

  /** What was typed, turned into its control character while Ctrl is held. */
  apply(text) {
    if (!this.#ctrl || text.length !== 1) return text;
    this.#hold(false);
    const code = text.toUpperCase().charCodeAt(0);
    return code >= 64 && code < 96 ? String.fromCharCode(code & 31) : text;
  }

  #press(key) {
    const session = this.session();
    if (!key || !session) return;
    if (key === "ctrl") this.#hold(!this.#ctrl);
    else session.type(this.#bytes(key, session.terminal));
    session.terminal.focus();
  }

  #bytes(key, terminal) {
    const sent = SENT[key] ?? key;
    if (!/^[A-D]$/.test(sent)) return sent;
    return (terminal.modes.applicationCursorKeysMode ? "\x1bO" : "\x1b[") + sent;
  }

  #hold(on) {
    this.#ctrl = on;
    this.row.querySelector('[data-key="ctrl"]').setAttribute("aria-pressed", String(on));
  }
}
