/* xterm.js is large: it comes only where it is used, after everything else, and again when the network hiccups. */

const TRIES = 4;
const APART = 1000; // ms, more each time

async function load() {
  for (let tried = 1; ; tried += 1) {
    try {
      return await import("./terminal.js");
    } catch (error) {
      if (tried === TRIES) return say(error);
      await new Promise((resolve) => setTimeout(resolve, APART * tried));
    }
  }
}

/* The element is nobody's yet, so this takes its place: a sentence and the way out. */
function say(error) {
  console.error(error);
  const words = document.createElement("p");
  words.className = "grow";
  words.textContent = "The terminal could not be loaded.";
  const again = document.createElement("button");
  Object.assign(again, { type: "button", className: "button", textContent: "Load the page again" });
  again.addEventListener("click", () => location.reload());
  const strip = document.createElement("div");
  strip.className = "strip";
  strip.append(words, again);
  const stage = document.createElement("div");
  stage.className = "stage thin";
  stage.setAttribute("role", "alert");
  stage.append(strip);
  document.querySelector("sandbox-terminal").replaceWith(stage);
}

if (document.querySelector("sandbox-terminal")) load();
