/* Makes the xterm.js screens: looks and addons. Knows nothing of sockets. */
import "./terminal-policy.js";
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";
import { ask } from "./confirm.js";

const FONT = '"JetBrains Mono", ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';
const THEME = {
  background: "#0c0f14", foreground: "#d9dfe7", cursor: "#d9dfe7", cursorAccent: "#0c0f14",
  selectionBackground: "#4f78d0a0", selectionInactiveBackground: "#4f78d070",
  black: "#2b313b", red: "#ff8b80", green: "#7ee0a3", yellow: "#f0c674", blue: "#8ab0ff", magenta: "#d7a6ff", cyan: "#7fdbe6", white: "#d9dfe7",
  brightBlack: "#7c8797", brightRed: "#ffaaa1", brightGreen: "#a4ecc0", brightYellow: "#f7d99b", brightBlue: "#aec8ff", brightMagenta: "#e5c7ff", brightCyan: "#a9e9f0", brightWhite: "#ffffff",
};
const FOUND = {
  matchBackground: "#5c4a1a", matchOverviewRuler: "#f0c674", activeMatchBackground: "#f0c674", activeMatchColorOverviewRuler: "#f0c674",
};

/** The font, loaded: xterm measures it once, when a screen opens. */
export async function ready(size) {
  const patience = new Promise((resolve) => setTimeout(resolve, 1500));
  await Promise.race([document.fonts?.load(`${size}px "JetBrains Mono"`), patience]).catch(() => {});
}

/** A screen in `host`: the terminal and the addons that others use. */
export function makeScreen(host, { fontSize, readable, label }) {
  const terminal = new Terminal({
    allowProposedApi: true, // decorations of the search, widths of unicode 11
    cursorBlink: true,
    fontFamily: FONT,
    fontSize,
    lineHeight: 1.2,
    screenReaderMode: readable,
    scrollback: 10_000,
    theme: THEME,
    minimumContrastRatio: 4.5,
    linkHandler: { activate: (_, uri) => followNamed(uri) },
  });
  const fit = new FitAddon();
  const search = new SearchAddon();
  terminal.loadAddon(fit);
  terminal.loadAddon(search);
  terminal.loadAddon(new WebLinksAddon((_, uri) => follow(uri)));
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = "11";
  terminal.open(host);
  terminal.textarea?.setAttribute("aria-label", label);
  if (!readable) accelerate(terminal);
  return { terminal, fit, search, found: { decorations: FOUND } };
}

/* Drawn by the graphics card where there is one; in software, plain elements are faster. */
async function accelerate(terminal) {
  if (!hasCard()) return;
  try {
    const { WebglAddon } = await import("@xterm/addon-webgl");
    const addon = new WebglAddon();
    addon.onContextLoss(() => addon.dispose());
    terminal.loadAddon(addon);
  } catch {
    // drawn with plain elements then
  }
}

function hasCard() {
  const probe = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  const names = probe?.getExtension("WEBGL_debug_renderer_info");
  const card = names ? probe.getParameter(names.UNMASKED_RENDERER_WEBGL) : "";
  probe?.getExtension("WEBGL_lose_context")?.loseContext(); // a page has few of them
  return Boolean(probe) && !/swiftshader|llvmpipe|software/i.test(card);
}

/* A link that a program printed: never our own window, never a word about where it was. */
function follow(uri) {
  if (/^https?:\/\//i.test(uri)) window.open(uri, "_blank", "noopener,noreferrer");
}

/* The words of such a link may say anything: the address is shown before it is gone to. */
async function followNamed(uri) {
  if (await ask({ title: "Open this address?", text: uri, action: "Open", hurts: false })) follow(uri);
}

/** The text of the whole buffer; wrapped lines are joined, blank ones at the end left out. */
export function textOf(terminal) {
  const { active } = terminal.buffer;
  const lines = [];
  for (let at = 0; at < active.length; at += 1) {
    const line = active.getLine(at);
    const text = line.translateToString(!active.getLine(at + 1)?.isWrapped);
    if (line.isWrapped && lines.length) lines[lines.length - 1] += text;
    else lines.push(text);
  }
  return lines.join("\n").trimEnd();
}
