/* The images' page: a pull that somebody began, wherever, shows by itself. */
import { engine } from "./engine.js";
import { Socket } from "./socket.js";

const GATHER = 400; // ms; a pull tells of itself often

let timer = 0;

function refresh() {
  timer = 0;
  window.htmx?.trigger("[data-part='images']", "refresh");
}

function heard(message) {
  if (message.type === "image") timer ||= setTimeout(refresh, GATHER);
  else if (message.type === "engine") engine(message.unreachable_since);
}

if (document.querySelector("[data-part='images']")) {
  let seen = false;
  const socket = new Socket("/ws/sandboxes/", {
    message: heard,
    open: () => {
      if (seen) refresh(); // what happened meanwhile was not told
      seen = true;
    },
  });
  socket.connect();
}
