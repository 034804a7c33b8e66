/* "/" goes to the search, wherever nothing is being typed. */

const TYPING = "input, textarea, select, [contenteditable], sandbox-terminal, dialog";

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.getElementById("q");
  if (!search || event.target.closest?.(TYPING)) return;
  event.preventDefault();
  search.focus();
  search.select();
});
