/* How terminals look to this person on this browser: remembered, the same for all of them. */

const SMALLEST = 10;
const LARGEST = 24;
const USUAL = 14;

function read(key, from = () => localStorage) {
  try {
    return from().getItem(key);
  } catch {
    return null; // storage is forbidden: the usual, then
  }
}

function keep(key, value, to = () => localStorage) {
  try {
    to().setItem(key, value);
  } catch {
    // not beyond this page
  }
}

let size = Math.min(Math.max(Number(read("terminal-size")) || USUAL, SMALLEST), LARGEST);
let readable = read("terminal-readable") === "1";

export const fontSize = () => size;
/** Whether the text is there for a screen reader too, at the price of speed. */
export const isReadable = () => readable;

/** A step larger or smaller; returns the size in px. */
export function stepFont(by) {
  size = Math.min(Math.max(size + by, SMALLEST), LARGEST);
  keep("terminal-size", String(size));
  return size;
}

export function toggleReadable() {
  readable = !readable;
  keep("terminal-readable", readable ? "1" : "0");
  return readable;
}

const tabKey = (sandbox) => `terminal-tab-${sandbox}`;

/** The terminal of a sandbox that this window showed last; null where it has shown none. */
export const lastTab = (sandbox) => read(tabKey(sandbox), () => sessionStorage);

export const rememberTab = (sandbox, name) => keep(tabKey(sandbox), name, () => sessionStorage);
