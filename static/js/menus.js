/* <details class="menu">: closed by Escape, by a click elsewhere and by a choice made in it. One with a field begins there. */

const FIELD = ".sheet :is(textarea, input:not([type='hidden'], [type='checkbox'], [type='radio']), select)";

const open = () => document.querySelectorAll("details.menu[open]");

function close(menu, { focus = false } = {}) {
  menu.open = false;
  if (focus) menu.querySelector("summary")?.focus();
}

function move(menu, by) {
  const items = [...menu.querySelectorAll(".item")].filter((item) => item.checkVisibility());
  if (!items.length) return;
  const at = items.indexOf(document.activeElement);
  items[(at + by + items.length + (at < 0 && by < 0 ? 1 : 0)) % items.length].focus();
}

/* Not on a phone, whose keyboard would come up; nor where the focus is in it already, as after a swap. */
document.addEventListener("toggle", ({ target: menu }) => {
  if (!menu.matches?.("details.menu[open]") || matchMedia("(pointer: coarse)").matches) return;
  const isFree = [document.body, menu.querySelector("summary")].includes(document.activeElement);
  if (isFree) menu.querySelector(FIELD)?.focus();
}, true);

document.addEventListener("keydown", (event) => {
  const menu = [...open()].at(-1);
  if (!menu) return;
  if (event.key === "Escape") close(menu, { focus: menu.contains(document.activeElement) });
  else if (event.key === "ArrowDown" && menu.contains(document.activeElement)) move(menu, 1);
  else if (event.key === "ArrowUp" && menu.contains(document.activeElement)) move(menu, -1);
  else return;
  event.preventDefault();
});

document.addEventListener("pointerdown", (event) => {
  for (const menu of open()) if (!menu.contains(event.target)) close(menu);
});

document.addEventListener("focusin", (event) => {
  for (const menu of open()) if (!menu.contains(event.target)) close(menu);
});

document.addEventListener("submit", (event) => {
  const menu = event.target.closest("details.menu");
  if (menu) close(menu, { focus: true });
}, true);
