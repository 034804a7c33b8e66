/* How terminals look to this person on this browser: remembered, the same for all of them. */

const SMALLEST = 10;
const LARGEST = 24;
const USUAL = 14;

function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is forbidden: the usual, then
  }
}

function keep(key, value) {
  try {
    localStorage.setItem(key, value);
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
