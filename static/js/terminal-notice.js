/* What stands over a terminal that cannot be typed in just now, and the way on. */
import { duration } from "./format.js";

const CALM = 500; // ms; a connection that takes less needs no word
const OVER = ["removed", "expired"]; // reasons that tell of the sandbox's own end
/* For how long a shell goes on without a page, from the server; nothing before it has said so. */
const stays = ({ grace }) => (grace ? `The shell goes on for ${duration(grace)} without this page` : "The shell goes on for a while");
const GONE = "This sandbox is gone. These are its last lines.";

export class Notice {
  #timer = 0;
  #late = 0;

  /** `acts`: `again()` connects anew, `act(name)` presses the page's own button for an action. */
  constructor(box, acts) {
    this.box = box;
    this.acts = acts;
    this.words = box.querySelector("[data-notice-text]");
    this.button = box.querySelector("[data-notice-act]");
    this.button.addEventListener("click", () => this.press());
  }

  /** Show what is the matter with a session while the sandbox has this status. */
  show(session, status, paused) {
    clearInterval(this.#timer);
    clearTimeout(this.#late);
    const say = () => this.#say(...this.#read(session, status, paused));
    if (session.state === "connecting" && this.box.hidden) {
      this.box.hidden = true;
      this.#late = setTimeout(say, CALM);
      return;
    }
    say();
    if (session.state === "waiting") this.#timer = setInterval(say, 500);
  }

  press() {
    const act = this.box.dataset.act;
    if (act === "again") this.acts.again();
    else this.acts.act(act);
  }

  /* [name of the state, sentence, act, word on the button]; an empty sentence is no notice. */
  #read(session, status, paused) {
    const { state, detail } = session;
    switch (state) {
      case "connecting":
        return ["connecting", "Connecting …"];
      case "waiting":
        return ["waiting", `Connection lost. Trying again in ${Math.max(Math.ceil((detail.until - Date.now()) / 1000), 1)} s. ${stays(session)}.`, "again", "Now"];
      case "offline":
        return ["waiting", `No network. ${stays(session)}, which comes back to it as soon as there is one.`, "again", "Try now"];
      case "refused":
        return this.#refused(detail, status);
      case "ended":
        return this.#ended(detail, status);
      default:
        return paused ? ["paused", "Paused. What you type arrives when it is resumed.", "resume", "Resume"] : ["", ""];
    }
  }

  /* Why the shell ended stays, until there is nothing to come back to: that is the later news. */
  #ended({ sentence, reason, again }, status) {
    const isOlder = status === "removed" && !OVER.includes(reason);
    return ["ended", isOlder ? GONE : sentence || "The shell has ended.", ...this.#after(again, status)];
  }

  #refused({ reason, code }, status) {
    if (status === "removed") return ["refused", GONE];
    const words = reason || "The terminal cannot be opened just now.";
    if (code === "paused") return ["refused", words, "resume", "Resume"];
    if (code === "not_found" || code === "signed_out") return ["refused", words];
    return ["refused", words, ...this.#after(true, status)];
  }

  #after(again, status) {
    if (status === "stopped" || status === "failed") return ["start", "Start"];
    return again && status !== "removed" ? ["again", "New shell"] : [];
  }

  #say(name, text, act = "", word = "") {
    this.box.hidden = !text;
    this.box.dataset.notice = name;
    this.box.dataset.act = act;
    if (this.words.textContent !== text) this.words.textContent = text;
    this.button.hidden = !act;
    this.button.textContent = word;
  }
}
