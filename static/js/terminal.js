/* <sandbox-terminal>: the shells of one sandbox, each in a tab. This file puts the parts together. */
import { ask } from "./confirm.js";
import { copy, guardPaste } from "./terminal-clipboard.js";
import { Finder } from "./terminal-find.js";
import { KeyRow, shareKeys } from "./terminal-keys.js";
import { Notice } from "./terminal-notice.js";
import { RecordingMark } from "./terminal-recording.js";
import { ready } from "./terminal-screen.js";
import { TerminalSession } from "./terminal-session.js";
import { fontSize, isReadable, lastTab, rememberTab, stepFont, toggleReadable } from "./terminal-settings.js";
import { freeName, inOrder, Tabs } from "./terminal-tabs.js";
import { toast } from "./toasts.js";

const UP = ["running", "paused"];
const PASSING = ["not_running", "unreachable", "busy", "unopened"]; // refusals that may be over soon
const SETTLE = 80; // ms without a change of size until the server is told

/* Nothing else has the focus, and no phone's keyboard would come up. */
const isIdle = () => document.activeElement === document.body && !matchMedia("(pointer: coarse)").matches;

class SandboxTerminal extends HTMLElement {
  static observedAttributes = ["status", "pending"];
  #sessions = new Map();
  #taken = new Set(); // names that this page has joined once: what was closed since is not opened by a late word of it
  #names = [];
  #chosen = "main";
  #observer;
  #timer;

  connectedCallback() {
    const isCalled = location.hash === "#terminal" || document.referrer.endsWith("/sandboxes/new/");
    if (UP.includes(this.getAttribute("status"))) this.#begin(isCalled);
  }

  disconnectedCallback() {
    this.#observer?.disconnect();
    for (const session of this.#sessions.values()) session.dispose();
    this.#sessions.clear();
  }

  attributeChangedCallback(_, before, now) {
    if (!this.isConnected || before === now || before === null) return;
    const status = this.getAttribute("status");
    if (!this.#observer && UP.includes(status)) this.#begin(true);
    else if (status === "running") this.#revive();
    this.#show();
  }

  /** The text on the screen of the chosen terminal and above it. */
  text() {
    return this.session?.text() ?? "";
  }

  /** The names of others who look at any shell of the sandbox, as the open ones were told. */
  get lookers() {
    const open = [...this.#sessions.values()].filter(({ state }) => state === "open");
    return [...new Set(open.flatMap(({ others }) => others))];
  }

  get session() {
    return this.#sessions.get(this.#chosen);
  }

  /* `isAsked`: somebody came for it, or waited until it ran, and is about to type. */
  async #begin(isAsked) {
    if (this.#observer) return;
    this.append(document.getElementById("terminal-template").content.cloneNode(true));
    this.#observer = new ResizeObserver(() => this.#measureSoon());
    this.#wire();
    await ready(fontSize());
    this.#choose(lastTab(this.getAttribute("sandbox")) ?? "main");
    if (isAsked && isIdle()) this.session.terminal.focus();
    this.#observer.observe(this.#part("screen"));
  }

  #part(name) {
    return this.querySelector(`[data-${name}]`);
  }

  #wire() {
    const session = () => this.session;
    this.tabs = new Tabs(this.#part("tabs"), { choose: (name) => this.#choose(name, true), close: (name) => this.#close(name) });
    this.finder = new Finder(this.#part("search"), session);
    this.recording = new RecordingMark(this.#part("recording"), this.#part("record"), session);
    this.keys = new KeyRow(this.#part("keys"), session);
    this.notice = new Notice(this.#part("notice"), { again: () => this.#again(), act: (name) => this.#press(name) });
    const clicks = {
      new: () => this.#new(),
      "search-toggle": () => this.finder.toggle(),
      smaller: () => this.#font(-1),
      larger: () => this.#font(1),
      full: () => this.#full(),
      readable: () => this.#readable(),
      close: () => this.#close(this.#chosen),
      redraw: () => this.session?.socket.send({ type: "redraw" }),
    };
    for (const [name, act] of Object.entries(clicks)) this.#part(name)?.addEventListener("click", act);
    this.#part("readable")?.setAttribute("aria-pressed", String(isReadable()));
    document.addEventListener("fullscreenchange", () => this.toggleAttribute("data-full", document.fullscreenElement === this));
  }

  /* A session is made when its tab is first looked at, an owner's when its name is told: a shell that no page
     has joined is ended after a while. It stays connected from then on. */
  #choose(name, focus = false) {
    this.#chosen = name;
    if (!this.#sessions.has(name)) this.#open(name);
    this.#front();
    this.#remember();
    this.#show();
    if (focus) this.session.terminal.focus();
  }

  #front() {
    const name = this.#chosen;
    for (const [other, { host }] of this.#sessions) {
      host.toggleAttribute("data-off", other !== name);
      host.inert = other !== name;
    }
  }

  #open(name) {
    const host = document.createElement("div");
    host.id = `screen-${name}`;
    host.setAttribute("role", "tabpanel");
    host.setAttribute("aria-labelledby", `tab-${name}`);
    this.#part("screen").append(host);
    const session = new TerminalSession(name, host, this.getAttribute("url"), {
      screen: { fontSize: fontSize(), readable: isReadable() },
      changed: (which) => this.#changed(which),
      names: (names) => this.#told(names, session),
      typed: (text) => this.keys.apply(text),
    });
    this.#sessions.set(name, session);
    this.#taken.add(name);
    guardPaste(host, session.terminal);
    shareKeys(session.terminal, { copy: () => copy(session.terminal), find: () => this.finder.open(), leave: () => this.tabs.focus() });
    session.measure();
    session.connect();
  }

  #changed(session) {
    if (session.state === "refused") this.#retry(session);
    if (session.state === "open") this.#opened(session);
    if (session.isOver && session.isRestarted) this.#revive();
    if (session.isOver && session.isClosing) this.#drop(session.name);
    else if (session === this.session) this.#show();
    this.dispatchEvent(new CustomEvent("terminal-changed", { bubbles: true }));
  }

  #opened(session) {
    session.refusals = 0;
    this.#remember();
  }

  #remember() {
    if (this.session?.state === "open" && this.session.mayType) rememberTab(this.getAttribute("sandbox"), this.#chosen);
  }

  /* Right after a start or a hiccup of the engine the server says no; a moment later it may say yes. */
  #retry(session) {
    session.refusals = (session.refusals ?? 0) + 1;
    if (!PASSING.includes(session.detail.code) || session.refusals > 5) return;
    setTimeout(() => {
      const isWanted = session.state === "refused" && this.getAttribute("status") === "running";
      if (isWanted && this.#sessions.get(session.name) === session) session.connect();
    }, 500 * session.refusals);
  }

  /* The server's list, and what this page is still opening or has seen end. */
  #told(names, { mayType }) {
    this.#names = names;
    if (this.hasAttribute("mine") && mayType) this.#join(names.filter((name) => !this.#taken.has(name)));
    for (const [name, session] of this.#sessions) {
      if (!names.includes(name) && session.isOver && name !== this.#chosen) this.#forget(name);
    }
    this.#show();
  }

  #join(names) {
    for (const name of names) this.#open(name);
    if (names.length) this.#front();
  }

  #forget(name) {
    this.#sessions.get(name)?.dispose();
    this.#sessions.delete(name);
  }

  get #all() {
    return inOrder([...this.#names, ...this.#sessions.keys()]);
  }

  #new() {
    const name = freeName(this.#all);
    if (name) this.#choose(name, true);
    else toast("info", "A sandbox has eight terminals at most. Close one first.");
  }

  async #close(name) {
    const session = this.#sessions.get(name);
    if (session && !session.isOver && !session.mayType) return toast("info", "You only watch this terminal; it is not yours to close.");
    if (session && !session.isOver) {
      const question = { title: `Close terminal ${name}?`, text: "Its shell and everything it started will end.", action: "Close" };
      if (!(await ask(question))) return;
      session.close();
      session.isClosing = true; // its tab goes when the server says that it has ended
      return;
    }
    this.#drop(name);
  }

  /* The last one stays, with its last screen and the way to a new shell. */
  #drop(name) {
    const others = this.#all.filter((other) => other !== name);
    if (!others.length) return this.#show();
    this.#forget(name);
    this.#names = this.#names.filter((other) => other !== name);
    return this.#choose(others.at(-1), true);
  }

  #again() {
    this.session.connect();
    this.session.terminal.focus();
  }

  /* It runs again: what was ended or refused with it begins anew. */
  #revive() {
    const session = this.session;
    if (this.getAttribute("pending") === "restart") return;
    if (session?.state === "refused" || (session?.state === "ended" && !session.detail.again)) session.connect();
  }

  /* The page's own button for an action, so that it is asked for in one way only. */
  #press(action) {
    this.closest("sandbox-live")?.querySelector(`form[action*="/${action}/"]`)?.requestSubmit();
  }

  #show() {
    const session = this.session;
    if (!session) return;
    const status = this.getAttribute("status");
    const paused = session.paused || status === "paused";
    this.setAttribute("state", session.state === "open" && paused ? "paused" : session.state);
    this.tabs.show(this.#all, this.#chosen);
    this.#part("new").hidden = !UP.includes(status);
    this.notice.show(session, status, paused);
    this.recording.show(session);
    this.#part("state").textContent = { waiting: "reconnecting", offline: "offline", ended: "ended" }[session.state] ?? (paused ? "paused" : "");
    this.toggleAttribute("data-watching", session.state === "open" && !session.mayType);
    const isShared = session.viewers > 1 && session.state === "open";
    this.#part("viewers").textContent = session.state === "open" && !session.mayType ? "you only watch" : isShared ? `${session.viewers} watching` : "";
    this.#part("viewers").title = isShared && session.others.length ? `also ${session.others.join(", ")}` : "";
    this.#part("size").textContent = session.size ? session.size.join("×") : "";
    this.#part("size").title = session.isBoxed ? "As large as the smallest window that watches" : "Columns and rows";
    this.toggleAttribute("data-boxed", session.isBoxed);
  }

  #measureSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      for (const session of this.#sessions.values()) session.measure();
    }, SETTLE);
  }

  #font(by) {
    const size = stepFont(by);
    for (const { terminal } of this.#sessions.values()) terminal.options.fontSize = size;
    this.#measureSoon();
  }

  #readable() {
    const on = toggleReadable();
    this.#part("readable").setAttribute("aria-pressed", String(on));
    for (const { terminal } of this.#sessions.values()) terminal.options.screenReaderMode = on;
    toast("info", on ? "Screen reader mode is on: output is read out as it comes." : "Screen reader mode is off.");
  }

  /* Real full screen only where Escape can be kept for programs; else the whole window. */
  async #full() {
    if (document.fullscreenElement) return document.exitFullscreen();
    if (this.hasAttribute("data-full")) return this.removeAttribute("data-full");
    try {
      await this.requestFullscreen();
      await navigator.keyboard.lock(["Escape", "KeyW", "KeyT", "KeyN"]); // Ctrl+W is the shell's, too
    } catch {
      if (document.fullscreenElement) await document.exitFullscreen();
      this.setAttribute("data-full", "");
    }
    return this.session?.terminal.focus();
  }
}

customElements.define("sandbox-terminal", SandboxTerminal);
