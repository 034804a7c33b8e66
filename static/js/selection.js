/* Ticked rows: all at once, a range with Shift, and kept while rows are replaced under them. */

const boxes = () => [...document.querySelectorAll('#fleet [name="ids"]:not(:disabled)')];
let last = null;

/* Show on the box in the heading whether all, some or none are ticked. */
function reflect() {
  const all = document.querySelector("[data-select-all]");
  if (!all) return;
  const rows = boxes();
  const ticked = rows.filter((box) => box.checked).length;
  all.checked = ticked > 0 && ticked === rows.length;
  all.indeterminate = ticked > 0 && ticked < rows.length;
}

function range(box) {
  const rows = boxes();
  const ends = [rows.findIndex((row) => row.value === last), rows.indexOf(box)].sort((a, b) => a - b);
  if (ends[0] < 0) return;
  for (const row of rows.slice(ends[0], ends[1] + 1)) row.checked = box.checked;
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.('#fleet [name="ids"]');
  if (!box) return;
  if (event.shiftKey && last) range(box);
  last = box.value;
  reflect();
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-all]")) {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  if (event.target.closest("#fleet")) reflect();
});

let kept = new Set();
document.addEventListener("htmx:beforeSwap", (event) => {
  const acted = event.detail.requestConfig?.elt?.id === "selection"; // done: the ticks have served
  if (!event.detail.target?.closest?.("sandbox-fleet")) return;
  for (const box of boxes()) {
    if (box.checked && !acted) kept.add(box.value);
    else kept.delete(box.value);
  }
});
document.addEventListener("htmx:afterSwap", () => {
  for (const box of boxes()) if (kept.has(box.value)) box.checked = true;
  kept = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  reflect();
});
addEventListener("pageshow", reflect);
