/* Whether a terminal is recorded: a mark that everybody sees, and the owner's way to start and stop it. */
import { toast } from "./toasts.js";

/** What a page knows after a frame `recording`; says aloud what has changed. */
export function heard(known, frame) {
  const now = { ...known, ...frame };
  if (known && frame.on !== known.on) toast(frame.on ? "info" : "warning", frame.sentence);
  return now;
}

export class RecordingMark {
  /** `session()` is the terminal that is shown. */
  constructor(mark, item, session) {
    this.mark = mark;
    this.item = item;
    this.keys = mark.querySelector("[data-recording-keys]");
    this.verb = item.querySelector("[data-record-text]");
    item.addEventListener("click", () => {
      session()?.socket.send({ type: "record", on: !session().recording?.on });
      item.closest("details").open = false;
      session()?.terminal.focus();
    });
  }

  show(session) {
    const { on, keystrokes, sentence, yours } = session.recording ?? {};
    const isOn = Boolean(on) && session.state === "open";
    this.mark.hidden = !isOn;
    this.keys.hidden = !keystrokes;
    if (isOn) this.mark.title = sentence;
    this.item.hidden = !yours || session.state !== "open";
    this.verb.textContent = on ? "Stop recording" : keystrokes ? "Record, with keystrokes" : "Record this terminal";
  }
}
