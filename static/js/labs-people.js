/* Courses and rosters: a button that copies what stands in a field. */
import { toast } from "./toasts.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    if (!document.execCommand("copy")) return toast("info", "It is selected; copy it with Ctrl+C."); // plain http
  }
  toast("success", "Copied.");
});

document.addEventListener("click", (event) => event.target.closest?.("[data-print]") && window.print());
