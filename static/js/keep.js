/* A part that is replaced keeps what a person was doing in it: the focus, an open menu, a request on its way. */

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

/* What an element is to a person: it is found again by that, since most have no id. */
function sign(element) {
  const words = element.getAttribute("aria-label") ?? element.textContent;
  return [element.localName, element.id, element.name ?? "", element.type ?? "", element.value ?? "", words.trim()].join("|");
}

const held = new Map();

function hold(target) {
  const focused = target.contains(document.activeElement) ? document.activeElement : null;
  const menu = target.querySelector("details.menu[open] > summary");
  if (focused || menu) held.set(target.id, { focus: focused && sign(focused), menu: menu && sign(menu) });
  else held.delete(target.id);
}

function find(root, wanted) {
  return wanted && [...root.querySelectorAll(FOCUSABLE)].find((element) => sign(element) === wanted);
}

function restore(id, { focus, menu }) {
  const root = document.getElementById(id);
  if (!root) return;
  const summary = find(root, menu);
  if (summary) summary.parentElement.open = true;
  const lost = document.activeElement === document.body || document.activeElement === null;
  if (!focus || !lost) return;
  const again = find(root, focus) ?? root.querySelector("a[href], button");
  again?.focus({ preventScroll: true });
}

/** Replace an element that has an id by fresh HTML, and keep what was going on in it. False: not just now. */
export function replace(element, html) {
  if (isAsking(element)) return false;
  hold(element);
  window.htmx.swap(element, html, { swapStyle: "outerHTML" });
  return true;
}

/* Something inside, or a link elsewhere that fills this place, has sent a request: its answer must find its
   place, and brings the truth anyway. */
const isAsking = (element) => element.querySelector(".htmx-request") !== null || isAwaited(element.id);
const isAwaited = (id) => id !== "" && document.querySelector(`.htmx-request[hx-target="#${CSS.escape(id)}"]`) !== null;

const BY_HAND = ["click", "submit", "input", "change", "search", "keyup"];

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, requestConfig } = event.detail;
  const byItself = requestConfig?.verb === "get" && !BY_HAND.includes(requestConfig.triggeringEvent?.type);
  if (byItself && target && isAsking(target)) event.detail.shouldSwap = false;
  if (event.detail.shouldSwap && event.detail.target?.id) hold(event.detail.target);
});
/* At once, or a key pressed in between goes astray; and again when htmx has settled the part. */
function restoreAll() {
  for (const [id, state] of held) restore(id, state);
}
document.addEventListener("htmx:afterSwap", restoreAll);
document.addEventListener("htmx:afterSettle", () => {
  restoreAll();
  held.clear();
});

/* What a person does between the two is the later word: a menu that Escape has closed stays closed. */
function acted() {
  for (const id of [...held.keys()]) {
    const root = document.getElementById(id);
    if (root) hold(root);
  }
}
for (const name of ["keydown", "pointerdown"]) addEventListener(name, acted);
/* A summary's own turn comes after its click. */
addEventListener("click", ({ target }) => {
  const summary = target.closest?.("details.menu > summary");
  acted();
  for (const [id, state] of held) {
    if (summary && document.getElementById(id)?.contains(summary)) state.menu = summary.parentElement.open ? null : sign(summary);
  }
});
