/* The matrix of a run is fetched anew while it goes on: what somebody has unfolded stays so. */

let open = [];

document.addEventListener("htmx:beforeSwap", ({ target }) => {
  if (target.id === "matrix") open = [...target.querySelectorAll("details[open]")].map((one) => one.id);
});

document.addEventListener("htmx:afterSwap", () => {
  if (!document.getElementById("matrix")) return;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
});
