/* What is typed, on its way to the shell: in order, in pieces, and held for a moment while there is no way. */

const PIECE = 16 * 1024; // bytes in one frame
const APART = 80; // ms between the frames of a long paste: 200 KiB a second, less than the server reads
const UNSENT = 64 * 1024; // bytes that still wait in the browser: acknowledgements must not queue up behind them
const HELD = 4 * 1024; // bytes kept while not connected
const HELD_FOR = 15_000; // ms; older keystrokes are not what somebody still means

export class Typing {
  #send;
  #unsent;
  #isOpen = false;
  #queue = [];
  #since = 0; // when the first of what is held was typed
  #timer = 0;

  /** `send(bytes)` hands a frame over, `unsent()` tells how many bytes the network has not taken yet. */
  constructor(send, unsent) {
    this.#send = send;
    this.#unsent = unsent;
  }

  /** Take bytes that somebody typed. */
  add(bytes) {
    if (!this.#isOpen) return this.#hold(bytes);
    for (let at = 0; at < bytes.length; at += PIECE) this.#queue.push(bytes.subarray(at, at + PIECE));
    if (!this.#timer) this.#pump();
  }

  /** There is a shell; `isSame` as the one that was typed for. */
  begin(isSame) {
    this.#isOpen = true;
    if (!isSame || Date.now() - this.#since > HELD_FOR) this.#queue = [];
    if (!this.#timer) this.#pump();
  }

  /** No way any more; returns whether a long paste was cut short by it. */
  end() {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    const wasCut = this.#queue.length > 0;
    this.stop();
    return wasCut;
  }

  /** Leave out what has not been sent. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#queue = [];
  }

  #hold(bytes) {
    if (!this.#queue.length) this.#since = Date.now();
    const held = this.#queue.reduce((sum, piece) => sum + piece.length, 0);
    if (held + bytes.length <= HELD) this.#queue.push(bytes);
  }

  #pump() {
    this.#timer = 0;
    if (this.#queue.length && this.#unsent() > UNSENT) {
      this.#timer = setTimeout(() => this.#pump(), APART);
      return;
    }
    const piece = this.#queue.shift();
    if (!piece) return;
    this.#send(piece);
    if (this.#queue.length) this.#timer = setTimeout(() => this.#pump(), piece.length < 1024 ? 0 : APART);
  }
}
