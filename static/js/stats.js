/* The figures of the sandboxes on this page: the last ten minutes of each, and who wants to hear. */

/** Seconds kept of every sandbox. */
export const SPAN = 600;
/** Seconds between two samples from which on nothing is known in between. */
export const GAP = 4;

const series = new Map();

function of(id) {
  if (!series.has(id)) series.set(id, { samples: [], heard: 0, watchers: new Set() });
  return series.get(id);
}

/** Add samples, each with `at` in seconds; older ones than the last are known already. */
export function record(id, samples) {
  const one = of(id);
  for (const sample of samples) {
    const at = seconds(sample.at);
    if (at > (one.samples.at(-1)?.at ?? -Infinity)) one.samples.push({ ...sample, at });
  }
  const from = (one.samples.at(-1)?.at ?? 0) - SPAN;
  const old = one.samples.findIndex((sample) => sample.at >= from);
  if (old > 0) one.samples.splice(0, old);
  one.heard = performance.now();
  for (const watcher of one.watchers) watcher();
}

/** Start anew with what the server kept. */
export function reset(id, samples) {
  of(id).samples.length = 0;
  record(id, samples);
}

const seconds = (at) => (typeof at === "number" ? at : new Date(at) / 1000);

/** Be called when there is something new; returns the way out. */
export function watch(id, call) {
  const one = of(id);
  one.watchers.add(call);
  return () => one.watchers.delete(call);
}

/** All samples of a sandbox, oldest first. */
export const samples = (id) => of(id).samples;

/** The last sample, unless it is too old to be called present. */
export function latest(id) {
  const one = of(id);
  return performance.now() - one.heard < 3 * GAP * 1000 ? (one.samples.at(-1) ?? null) : null;
}

/** Now, by the clock that stamps this sandbox's samples. */
export function now(id) {
  const one = of(id);
  return (one.samples.at(-1)?.at ?? 0) + (performance.now() - one.heard) / 1000;
}

/**
 * Points [x, y] in runs without a gap: x in seconds before `end` (0 to -span), y as `value(sample)`.
 * A null value ends a run as a missing sample does.
 */
export function runs(list, value, end, span) {
  const found = [];
  let last = null;
  for (const sample of list) {
    const y = value(sample);
    const x = sample.at - end;
    if (x < -span || y === null || y === undefined) {
      last = null;
      continue;
    }
    if (last === null || x - last > GAP) found.push([]);
    found.at(-1).push([x, y]);
    last = x;
  }
  return found;
}
