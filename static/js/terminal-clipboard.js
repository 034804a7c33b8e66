/* Copy and paste in a terminal: the keys, and a question before many lines are run at once. */
import { ask } from "./confirm.js";
import { toast } from "./toasts.js";

const MANY = 5; // lines; more than these are asked about
const MOST = 1024 * 1024; // characters

/** Copy what is selected in the terminal. */
export async function copy(terminal) {
  const text = terminal.getSelection();
  if (!text) return;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // not on plain http: xterm answers the browser's own copying, with the selection
    if (!document.execCommand("copy")) toast("warning", "The browser did not allow copying. Use its own menu.");
  }
}

/** Paste text as the shell wants it; asks first when it has many lines. */
export async function paste(terminal, text) {
  if (text.length > MOST) return toast("warning", "That is more than 1 MB, too much to paste. Save it as a file in pieces.");
  const lines = text.trimEnd().split("\n").length;
  const question = { title: `Paste ${lines} lines?`, text: "Each line may run as a command as soon as it is pasted.", action: "Paste", hurts: false };
  if (lines > MANY && !(await ask(question))) return terminal.focus();
  terminal.paste(text);
  return terminal.focus();
}

/** Every paste into `host`, by whatever key or menu, goes through the question. */
export function guardPaste(host, terminal) {
  host.addEventListener("paste", (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    const text = event.clipboardData?.getData("text/plain");
    if (text) paste(terminal, text);
  }, true);
}
