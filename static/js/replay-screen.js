/* A small screen that only knows text: what stood where, and since when. For searching, not for looking.
 *
 * It is fed the output of a terminal and hands over each line before that goes: when it scrolls away, is
 * erased or written over, and at the end. Colours and the rest are passed over. */

const TOKENS = /\x1b\[([0-9;:<=>?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b([ -/]*[0-~]?)|([\r\n\v\f\b\t])|([^\x00-\x1f\x7f-\x9f]+)|[\x00-\x1f\x7f-\x9f]/g;
const PLAIN = /^[\x20-\x7e]*$/;
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const NONE = /^[\p{Mn}\p{Me}\p{Cf}]$/u;

class Row {
  cells = []; // one character a column; "" behind a wide one
  times = [];
  follows = false; // it goes on from the row above
  isNew = false; // something was written since it was handed over
}

/** A line that was on the screen; `time(from, to)` is when all of that part of it was there. */
export class Line {
  constructor(rows) {
    this.text = "";
    this.times = [];
    for (const { cells, times } of rows) {
      for (let col = 0; col < cells.length; col += 1) {
        const cell = cells[col] ?? " ";
        for (let at = 0; at < cell.length; at += 1) this.times.push(times[col] ?? 0);
        this.text += cell;
      }
    }
    this.text = this.text.trimEnd();
  }

  time(from, to) {
    let latest = 0;
    for (let at = from; at < to; at += 1) latest = Math.max(latest, this.times[at]);
    return latest;
  }
}

export class Screen {
  /** `line(line)` is called with every line that goes. */
  constructor(cols, rows, line) {
    this.cols = cols || 80;
    this.rows = rows || 24;
    this.line = line;
    this.#blank();
  }

  #rest = ""; // a sequence whose end has not come
  #kept = null; // the main screen, while the other is shown
  #saved = [0, 0];
  #moved = true; // the cursor did not get here by writing
  #above = []; // rows of a line that has scrolled away in part

  #blank() {
    this.lines = Array.from({ length: this.rows }, () => new Row());
    [this.row, this.col, this.top, this.bottom] = [0, 0, 0, this.rows - 1];
  }

  /** Output that came at `time`. */
  feed(text, time) {
    this.now = time;
    const all = this.#rest + text;
    const open = all.lastIndexOf("\x1b");
    this.#rest = open >= 0 && open > all.length - 4096 && isOpen(all.slice(open)) ? all.slice(open) : "";
    for (const match of all.slice(0, all.length - this.#rest.length).matchAll(TOKENS)) this.#take(match);
  }

  #take([, numbers, final, escape, control, text]) {
    if (text !== undefined) return this.#write(text);
    if (control !== undefined) return this.#control(control);
    if (final !== undefined) return this.#csi(final, numbers);
    if (escape !== undefined) this.#escape(escape);
  }

  /** Everything that still stands there. */
  end() {
    this.#handOver(0, this.rows);
    if (this.#kept) [this.lines, this.#kept] = [this.#kept.lines, null];
    this.#handOver(0, this.lines.length);
    this.#handAbove();
  }

  /** The tty has another size. */
  resize(cols, rows) {
    const gone = Math.max(Math.min(this.row - rows + 1, this.lines.length), 0);
    this.#scrollAway(gone);
    this.row -= gone;
    while (this.lines.length < rows) this.lines.push(new Row());
    this.#handOver(rows, this.lines.length);
    this.lines.length = rows;
    [this.cols, this.rows, this.top, this.bottom] = [cols, rows, 0, rows - 1];
    [this.row, this.col] = [Math.min(this.row, rows - 1), Math.min(this.col, cols - 1)];
  }

  #scrollAway(count) {
    for (const row of this.lines.splice(0, count)) this.#goes(row);
  }

  // -- writing --

  #write(text) {
    if (PLAIN.test(text)) for (const char of text) this.#put(char, 1);
    else for (const char of text) this.#put(char, NONE.test(char) ? 0 : WIDE.test(char) ? 2 : 1);
  }

  #put(char, width) {
    let row = this.lines[this.row];
    if (!width) {
      if (this.col > 0) row.cells[this.col - 1] = `${row.cells[this.col - 1] ?? ""}${char}`;
      return;
    }
    if (this.col + width > this.cols) row = this.#wrap();
    const before = row.cells[this.col] ?? " ";
    if (this.#moved && before !== " " && before !== char) {
      this.#moved = false;
      this.#show([row]);
    }
    fill(row, this.col);
    if (before !== char) row.times[this.col] = this.now; // what is written again was there all the time
    else row.times[this.col] ??= this.now;
    row.cells[this.col] = char;
    if (width === 2) [row.cells[this.col + 1], row.times[this.col + 1]] = ["", this.now];
    row.isNew = true;
    this.col += width;
  }

  #wrap() {
    this.#down();
    this.col = 0;
    const row = this.lines[this.row];
    row.follows = true;
    return row;
  }

  #control(control) {
    this.#moved = true;
    if (control === "\r") this.col = 0;
    else if (control === "\b") this.col = Math.max(Math.min(this.col, this.cols) - 1, 0);
    else if (control === "\t") this.col = Math.min((Math.floor(this.col / 8) + 1) * 8, this.cols - 1);
    else {
      this.#down();
      this.lines[this.row].follows = false;
    }
  }

  #down() {
    if (this.row === this.bottom) this.#scroll(this.top, 1);
    else this.row = Math.min(this.row + 1, this.rows - 1);
  }

  #up() {
    if (this.row === this.top) this.#scroll(this.top, -1);
    else this.row = Math.max(this.row - 1, 0);
  }

  /* Rows from `top` to the end of the region go up (or down) by so many. */
  #scroll(top, by) {
    const count = Math.min(Math.abs(by), this.bottom - top + 1);
    const gone = by > 0 ? this.lines.splice(top, count) : this.lines.splice(this.bottom - count + 1, count);
    for (const row of gone) this.#goes(row);
    this.lines.splice(by > 0 ? this.bottom - count + 1 : top, 0, ...Array.from({ length: count }, () => new Row()));
  }

  // -- what goes --

  /* Rows that scroll away one after the other are one line where they were one. */
  #goes(row) {
    if (!row.follows) this.#handAbove();
    this.#above.push(row);
    if (this.#above.length > 200) this.#handAbove();
  }

  #handAbove() {
    const rows = this.#above;
    this.#above = [];
    this.#show(rows);
  }

  #handOver(from, to) {
    for (let at = from; at < to; at += 1) this.#goes(this.lines[at]);
  }

  #show(rows) {
    if (!rows.some((row) => row.isNew)) return;
    for (const row of rows) row.isNew = false;
    const line = new Line(rows);
    if (line.text) this.line(line);
  }

  // -- sequences --

  #escape(escape) {
    this.#moved = true;
    if (escape === "7") this.#saved = [this.row, this.col];
    else if (escape === "8") [this.row, this.col] = this.#saved;
    else if (escape === "D") this.#down();
    else if (escape === "M") this.#up();
    else if (escape === "E") this.#control("\r"), this.#control("\n");
    else if (escape === "c") this.#erase(2), this.#blank();
  }

  #csi(final, text) {
    const numbers = text.split(";").map((one) => Number.parseInt(one, 10) || 0);
    const one = Math.max(numbers[0], 1);
    if (final === "m") return;
    this.#moved = true;
    const act = {
      A: () => this.#go(this.row - one, this.col),
      B: () => this.#go(this.row + one, this.col),
      C: () => this.#go(this.row, this.col + one),
      D: () => this.#go(this.row, Math.min(this.col, this.cols - 1) - one),
      E: () => this.#go(this.row + one, 0),
      F: () => this.#go(this.row - one, 0),
      G: () => this.#go(this.row, one - 1),
      "`": () => this.#go(this.row, one - 1),
      d: () => this.#go(one - 1, this.col),
      H: () => this.#go(one - 1, Math.max(numbers[1] ?? 1, 1) - 1),
      f: () => this.#go(one - 1, Math.max(numbers[1] ?? 1, 1) - 1),
      J: () => this.#erase(numbers[0]),
      K: () => this.#eraseLine(numbers[0]),
      L: () => this.#within(() => this.#scroll(this.row, -one)),
      M: () => this.#within(() => this.#scroll(this.row, one)),
      S: () => this.#scroll(this.top, one),
      T: () => this.#scroll(this.top, -one),
      P: () => this.#shift((row) => row.splice(this.col, one)),
      "@": () => this.#shift((row, blank) => row.splice(this.col, 0, ...Array(Math.min(one, this.cols)).fill(blank))),
      X: () => this.#wipe(this.col, this.col + one),
      r: () => this.#region(one - 1, (numbers[1] || this.rows) - 1),
      s: () => (this.#saved = [this.row, this.col]),
      u: () => ([this.row, this.col] = this.#saved),
      h: () => this.#mode(text, true),
      l: () => this.#mode(text, false),
    }[final];
    act?.();
  }

  #go(row, col) {
    [this.row, this.col] = [Math.min(Math.max(row, 0), this.rows - 1), Math.min(Math.max(col, 0), this.cols - 1)];
  }

  #within(act) {
    if (this.row >= this.top && this.row <= this.bottom) act();
  }

  #region(top, bottom) {
    [this.top, this.bottom] = top < bottom && bottom < this.rows ? [top, bottom] : [0, this.rows - 1];
    this.#go(0, 0);
  }

  #erase(kind) {
    const [from, to] = { 0: [this.row + 1, this.rows], 1: [0, this.row] }[kind] ?? [0, this.rows];
    this.#handOver(from, to);
    for (let at = from; at < to; at += 1) this.lines[at] = new Row();
    if (kind < 2) this.#eraseLine(kind);
  }

  #eraseLine(kind) {
    const [from, to] = { 0: [this.col, Infinity], 1: [0, this.col + 1] }[kind] ?? [0, Infinity];
    this.#wipe(from, to);
  }

  /* Cells become blank; what stood there is handed over first. */
  #wipe(from, to) {
    const row = this.lines[this.row];
    const end = Math.min(to, row.cells.length);
    if (row.cells.slice(from, end).some((cell) => cell !== " " && cell !== undefined)) this.#show([row]);
    if (end === row.cells.length) row.cells.length = row.times.length = Math.min(from, end);
    else for (let at = from; at < end; at += 1) row.cells[at] = " ";
  }

  #shift(act) {
    const row = this.lines[this.row];
    fill(row, this.col);
    act(row.cells, " ");
    act(row.times, this.now);
    row.cells.length = row.times.length = Math.min(row.cells.length, this.cols);
    row.isNew = true;
  }

  #mode(text, on) {
    if (!["?1049", "?1047", "?47"].includes(text)) return;
    if (on && !this.#kept) {
      this.#kept = { lines: this.lines, row: this.row, col: this.col };
      this.#blank();
    } else if (!on && this.#kept) {
      this.#handOver(0, this.rows);
      this.#handAbove();
      const { lines, row, col } = this.#kept;
      this.#kept = null;
      Object.assign(this, { lines, top: 0, bottom: this.rows - 1 });
      this.resize(this.cols, this.rows);
      this.#go(row, col);
    }
  }
}

function fill(row, col) {
  for (let at = row.cells.length; at < col; at += 1) [row.cells[at], row.times[at]] = [" ", 0];
}

/* Whether an escape sequence still lacks its end. */
function isOpen(text) {
  return /^\x1b(?:$|\[[0-9;:<=>?]*[ -/]*$|[\]PX^_][^\x07\x1b]*$|[ -/]+$)/.test(text);
}
