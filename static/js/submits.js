/* A form is sent once, however often its button is pressed. The server keeps the same promise. */

const BUSY = 8000; // ms; then the button works again, whatever became of the request

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog") return;
  if (form.dataset.busy || (form.classList.contains("htmx-request") && form.method === "post")) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, true);

/* Bubbling, after htmx: what it takes over is default-prevented and has its own marks. */
addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  form.dataset.busy = "1";
  for (const button of form.querySelectorAll("[type=submit]")) button.setAttribute("aria-disabled", "true");
  setTimeout(() => free(form), BUSY);
});

function free(form) {
  delete form.dataset.busy;
  for (const button of form.querySelectorAll("[type=submit]")) button.removeAttribute("aria-disabled");
}

/* A page taken back from the browser's memory must not be stuck. */
addEventListener("pageshow", () => document.querySelectorAll("form[data-busy]").forEach(free));

/* A form that comes back refused is gone on with at the first field that was, or at the sentence that says why no field can help. */
function refused() {
  const field = document.querySelector('form [aria-invalid="true"]');
  if (field) return field.matches("div") ? field.querySelector("input") : field;
  const why = document.querySelector("main:not(:has([autofocus])) .note[role=alert]:not(.messages > *)");
  why?.setAttribute("tabindex", "-1");
  return why;
}

if (document.activeElement === document.body) refused()?.focus();
