/* The search bar of a terminal. */

export class Finder {
  /** `form` is the bar, `session()` gives the session that is shown. */
  constructor(form, session) {
    this.form = form;
    this.session = session;
    this.input = form.elements.find;
    this.count = form.querySelector("[data-find-count]");
    this.heard = new WeakSet();
    this.input.addEventListener("input", () => this.find(1, true));
    this.input.addEventListener("keydown", (event) => this.key(event));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.querySelector("[data-find-next]").addEventListener("click", () => this.find(1));
    form.querySelector("[data-find-previous]").addEventListener("click", () => this.find(-1));
    form.querySelector("[data-find-close]").addEventListener("click", () => this.close());
  }

  open() {
    this.form.hidden = false;
    this.input.value ||= this.session().terminal.getSelection().split("\n")[0];
    this.input.focus();
    this.input.select();
    if (this.input.value) this.find(-1, true);
  }

  close() {
    this.form.hidden = true;
    this.session()?.search.clearDecorations();
    this.session()?.terminal.focus();
  }

  toggle() {
    if (this.form.hidden) this.open();
    else this.close();
  }

  key(event) {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter") this.find(event.shiftKey ? -1 : 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  find(direction, typing = false) {
    const { search, found } = this.session();
    if (!this.heard.has(search)) {
      this.heard.add(search);
      search.onDidChangeResults((result) => this.tell(result));
    }
    const word = this.input.value;
    if (!word) {
      search.clearDecorations();
      this.count.textContent = "";
      return;
    }
    const options = { ...found, incremental: typing };
    if (direction < 0) search.findPrevious(word, options);
    else search.findNext(word, options);
  }

  tell({ resultIndex, resultCount }) {
    if (this.form.hidden) return;
    if (!this.input.value) this.count.textContent = "";
    else if (!resultCount) this.count.textContent = "no match";
    else this.count.textContent = resultIndex < 0 ? `${resultCount} matches` : `${resultIndex + 1} of ${resultCount}`;
  }
}
