/* The few shapes that charts are made of. */

const SPACE = "http://www.w3.org/2000/svg";

/** An SVG element with its attributes. */
export function shape(name, attributes = {}, ...children) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A path through runs of points, broken where they are; a lone point becomes a short stroke. */
export function line(runs) {
  return runs
    .map((run) => `M${(run.length > 1 ? run : [run[0], [run[0][0] + 1, run[0][1]]]).map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`)
    .join("");
}

/** The same, closed down to `floor`. */
export function area(runs, floor) {
  return runs
    .map((run) => `${line([run])}L${run.at(-1)[0].toFixed(1)} ${floor}L${run[0][0].toFixed(1)} ${floor}Z`)
    .join("");
}
