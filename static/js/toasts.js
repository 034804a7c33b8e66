/* Short notices in a corner: what came of an action, and what went wrong on the way. */

const STAYS = { success: 5000, info: 5000, warning: 9000, error: 12000 };
const MOST = 4;

/** Show a notice and give it back; it goes by itself (after `stays` ms), unless the pointer or the focus rests on it. */
export function toast(level, message, stays = STAYS[level] ?? STAYS.info) {
  const region = document.getElementById("toasts");
  if (!region || !message) return null;
  const note = document.createElement("div");
  note.className = "toast";
  note.dataset.level = level;
  if (level === "error") note.setAttribute("role", "alert");
  const text = document.createElement("span");
  text.textContent = message;
  note.append(text, closer(note));
  region.append(note);
  while (region.children.length > MOST) region.firstElementChild.remove();
  leave(note, stays);
  return note;
}

function closer(note) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", "Dismiss");
  button.textContent = "✕";
  button.addEventListener("click", () => note.remove());
  return button;
}

function leave(note, after) {
  let timer = setTimeout(() => note.remove(), after);
  const hold = () => clearTimeout(timer);
  const release = () => {
    clearTimeout(timer);
    timer = setTimeout(() => note.remove(), 2500);
  };
  note.addEventListener("pointerenter", hold);
  note.addEventListener("focusin", hold);
  note.addEventListener("pointerleave", release);
  note.addEventListener("focusout", release);
}

/* Polls fail in silence: the page's own indicator tells. What a person asked for does not. */
function asked(event) {
  const config = event.detail.requestConfig;
  return config?.verb !== "get" || ["click", "submit", "change", "input"].includes(config?.triggeringEvent?.type);
}

const REFUSED = {
  403: "That was refused. Reload the page and try again.",
  404: "That is not there any more.",
  429: "Too many tries. Wait a moment.",
  503: "It cannot be written down at present, so it was not done. Try again in a moment.",
};

document.addEventListener("toast", (event) => toast(event.detail.level, event.detail.message));
document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (status === 401 || !asked(event) || event.detail.xhr.getResponseHeader("HX-Trigger")?.includes("toast")) return;
  toast("error", REFUSED[status] ?? "The server could not do that. Try again in a moment.");
});
for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, (event) => {
    if (asked(event)) toast("error", "No answer from the server. Nothing was changed as far as this page knows.");
  });
}
