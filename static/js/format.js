/* Numbers as people read them; the same words as sandboxes/units.py. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** "512 MB" from bytes, in steps of 1024; "–" for null. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${(unit >= 3 ? value.toFixed(1) : value.toFixed(0)).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

/** "18 kB/s"; "–" for null. */
export function rate(bytesPerSecond) {
  return bytesPerSecond === null || bytesPerSecond === undefined ? "–" : `${size(bytesPerSecond)}/s`;
}

/** "22 %" from a share of one; tenths below 10 %; "–" for null. */
export function percent(share) {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  const value = share * 100;
  return `${value > 0 && value < 9.95 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value)} %`;
}

/** "18 min", "1 h 5 min", "40 s" from seconds. */
export function duration(seconds) {
  const whole = Math.max(Math.trunc(seconds), 0);
  if (whole < 90) return `${whole} s`;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  if (!hours) return `${minutes} min`;
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
}

/** "14:02" in the browser's zone. */
export function clock(date) {
  return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

/** "24 Nov" in the browser's zone, with its year where that is not this one. */
export function day(date) {
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year });
}
