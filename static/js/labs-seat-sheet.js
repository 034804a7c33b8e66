/* The lab sheet's buttons: "Run" types a line into the terminal, "Copy" copies it, a pill opens its step. */
import { toast } from "./toasts.js";

const textOf = (button) => button.closest(".snippet").querySelector("code").textContent.replace(/\n+$/, "");

function run(button) {
  const session = document.querySelector("sandbox-terminal")?.session;
  if (!session || session.state !== "open" || session.paused) return toast("info", "The terminal is not ready yet.");
  if (!session.mayType) return toast("info", "You only watch this terminal.");
  session.type(`${textOf(button)}\n`);
  mark(button, "Typed");
  session.terminal.focus();
  session.host.closest(".terminal-card")?.scrollIntoView({ block: "nearest" }); // a phone shows one at a time
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(textOf(button));
    mark(button, "Copied");
  } catch {
    // not on plain http: the text is selected, and the browser's own copying takes it
    getSelection().selectAllChildren(button.closest(".snippet").querySelector("code"));
    if (document.execCommand("copy")) mark(button, "Copied");
    else toast("info", "It is selected; copy it with Ctrl+C.");
  }
}

/* The word of the button tells for a moment what came of it. */
function mark(button, word) {
  button.dataset.word ??= button.textContent;
  button.textContent = word;
  setTimeout(() => (button.textContent = button.dataset.word), 1200);
}

function open(link) {
  const step = document.querySelector(link.getAttribute("href"));
  if (!step) return;
  step.open = true;
  step.querySelector("summary").focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.(".snippet button");
  if (button) return button.hasAttribute("data-run") ? run(button) : copy(button);
  const pill = event.target.closest?.(".pills a");
  return pill && open(pill);
});

/* The next step begins at its beginning, below the pills. */
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "seat-sheet") return;
  event.target.querySelector(".step[open]")?.scrollIntoView({ block: "nearest" });
});
