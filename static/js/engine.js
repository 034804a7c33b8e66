/* "Engine unreachable since 14:02": the banner of every page, and the word on the list. */
import { localise } from "./times.js";

/** Show since when (ISO) the engine has not answered; null: all is well. */
export function engine(since) {
  const banner = document.getElementById("engine");
  if (banner) {
    const time = banner.querySelector("time");
    if (since && time) time.dateTime = since;
    banner.hidden = !since;
    localise(banner);
  }
  for (const word of document.querySelectorAll("[data-engine]")) tell(word, since);
}

function tell(word, since) {
  word.closest(".figure").classList.toggle("away", Boolean(since));
  if (!since) {
    word.textContent = "reachable";
    return;
  }
  const time = document.createElement("time");
  time.dateTime = since;
  time.dataset.local = "time";
  const small = document.createElement("small");
  small.append("since ", time);
  word.replaceChildren("unreachable ", small);
  localise(word);
}
