/* Forms and buttons with data-confirm ask in the page's one dialog before they act. */
import { toast } from "./toasts.js";

const allowed = new WeakSet();
const dialog = document.getElementById("confirm");

/** Ask a question; resolves to whether the answer was yes. `action` and `keep` are the words on the buttons. */
export function ask({ title, text = "", action = "Yes", keep = "Cancel", hurts = true }) {
  if (!dialog?.showModal) return Promise.resolve(window.confirm(`${title}\n${text}`));
  dialog.querySelector("[data-confirm-title]").textContent = title;
  dialog.querySelector("[data-confirm-text]").textContent = text;
  dialog.querySelector("[data-confirm-no]").textContent = keep;
  const yes = dialog.querySelector("[data-confirm-yes]");
  yes.textContent = action;
  yes.classList.toggle("danger", hurts);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/* "the selected sandboxes" with their number, which the server could not know. */
function counted(question, form) {
  if (form.id !== "selection") return question;
  const count = document.querySelectorAll('[name="ids"][form="selection"]:checked').length;
  return question.replace("the selected sandboxes", count === 1 ? "the selected sandbox" : `the ${count} selected sandboxes`);
}

/* ?confirm makes the server ask; here it has been answered. */
function skipPage(form, submitter) {
  const without = (address) => address.replace(/\?confirm$/, "");
  form.setAttribute("action", without(form.getAttribute("action") ?? ""));
  if (submitter?.hasAttribute("formaction")) {
    submitter.setAttribute("formaction", without(submitter.getAttribute("formaction")));
  }
}

/* While somebody reads the question, a nudge may bring the form anew: the answer is for the one that is there now. */
function present(form, submitter) {
  if (form.isConnected) return [form, submitter?.isConnected ? submitter : null];
  const address = form.getAttribute("action");
  const again = [...document.forms].find((other) => other.getAttribute("action") === address && other.id === form.id);
  const same = (button) => button.name === submitter?.name && button.value === submitter?.value;
  return [again, [...(again?.elements ?? [])].find((button) => button.type === "submit" && same(button)) ?? null];
}

async function intercept(event) {
  let form = event.target;
  let { submitter } = event;
  if (allowed.delete(form)) return;
  const asker = submitter?.hasAttribute("data-confirm") ? submitter : form;
  if (!asker.hasAttribute?.("data-confirm")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const { confirm, confirmText: text, confirmAction: action, confirmKeep: keep } = asker.dataset;
  const question = { title: counted(confirm, form), text, action, keep };
  if (!(await ask(question))) return;
  [form, submitter] = present(form, submitter);
  if (!form) return toast("warning", "It has changed meanwhile, so nothing was done.");
  skipPage(form, submitter);
  allowed.add(form);
  form.requestSubmit(submitter);
}

/* htmx takes the button that had the focus last for the one that was pressed, and none once the dialog took the focus from
   a menu that closes: the submit event knows for certain. */
function named({ detail: { parameters, triggeringEvent } }) {
  const button = triggeringEvent?.submitter;
  if (button?.name) parameters[button.name] = button.value;
}

document.addEventListener("submit", intercept, true);
document.addEventListener("htmx:configRequest", named);
dialog?.addEventListener("click", (event) => {
  if (event.target === dialog && outside(event)) dialog.close("cancel");
});

function outside({ clientX: x, clientY: y }) {
  const box = dialog.getBoundingClientRect();
  return x < box.left || x > box.right || y < box.top || y > box.bottom;
}
