/* A cast as the replay uses it: its events, and two clocks: the recording's own, and one without idle time. */

/** Seconds beyond which nothing happening is idle. */
export const IDLE = 2;

/** Parse a cast of version 2; a last line that is not whole is left out. Throws what JSON.parse throws. */
export function parse(text) {
  const lines = text.split("\n");
  const header = JSON.parse(lines[0]);
  const events = [];
  for (let at = 1; at < lines.length; at += 1) {
    if (lines[at].startsWith("[")) events.push(JSON.parse(lines[at]));
  }
  return { header, events, duration: events.length ? events.at(-1)[0] : 0 };
}

/** The times of the events when none may be further than `most` seconds from the one before. */
export class Clock {
  constructor(events, most = Infinity) {
    this.real = new Float64Array(events.length + 1);
    this.shown = new Float64Array(events.length + 1);
    for (let at = 0; at < events.length; at += 1) {
      this.real[at + 1] = events[at][0];
      this.shown[at + 1] = this.shown[at] + Math.min(events[at][0] - this.real[at], most);
    }
  }

  /** The player's time at this time of the recording. */
  toShown(time) {
    return between(this.real, this.shown, time);
  }

  /** The recording's time at this time of the player. */
  toReal(time) {
    return between(this.shown, this.real, time);
  }

  /** Events as the player takes them: milliseconds of its own clock, code, text. */
  events(events) {
    return events.map(([, code, data], at) => [this.shown[at + 1] * 1000, code, data]);
  }
}

/* Where `time` lies in `from`, in terms of `to`; straight between two events. */
function between(from, to, time) {
  let low = 0;
  let high = from.length - 1;
  if (time >= from[high]) return to[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= time) low = middle;
    else high = middle;
  }
  const span = from[high] - from[low];
  const share = span > 0 ? Math.min(Math.max(time - from[low], 0) / span, 1) : 0;
  return to[low] + share * (to[high] - to[low]);
}

/** "1:04:09", "0:07" from seconds. */
export function stamp(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
