/* Programs ask the terminal what it is. Of all pages that watch, one may answer, and never to a replay. */

const NEVER_HEARD = true; // "handled": xterm's own answer is not given

/**
 * Let `isMuted()` decide, at the moment a question is read from the stream, whether it stays unanswered:
 * device attributes, status reports, modes and settings, versions, colours. Returns a function that says
 * whether what xterm is sending this very moment is such an answer, which could not be held back.
 */
export function muteQueries(terminal, isMuted) {
  const { parser } = terminal;
  const mute = () => (isMuted() ? NEVER_HEARD : false);
  const questions = [
    { final: "c" }, { prefix: ">", final: "c" }, { prefix: "=", final: "c" },
    { final: "n" }, { prefix: "?", final: "n" },
    { intermediates: "$", final: "p" }, { prefix: "?", intermediates: "$", final: "p" },
    { prefix: ">", final: "q" }, { prefix: "?", final: "u" }, { final: "t" },
  ];
  for (const question of questions) parser.registerCsiHandler(question, mute);
  parser.registerDcsHandler({ intermediates: "$", final: "q" }, mute);
  parser.registerDcsHandler({ intermediates: "+", final: "q" }, mute);
  parser.registerEscHandler({ final: "Z" }, mute);
  for (const colour of [4, 10, 11, 12]) {
    parser.registerOscHandler(colour, (data) => (data.includes("?") ? mute() : false));
  }
  parser.registerOscHandler(52, () => NEVER_HEARD); // a program does not touch the clipboard
  return holdFocus(parser, isMuted);
}

/** Whether what xterm sends tells of the mouse or of the focus, and is no key. */
export const isReport = (data) => /^\x1b\[(?:[IO]|<[\d;]+[Mm]|M[^]{3}|[\d;]+M)$/.test(data);

/* Switching focus reports on makes xterm report at once. The mode must be set, so the report is let
   happen and not passed on: nothing a person does comes in the middle of reading the stream. */
function holdFocus(parser, isMuted) {
  let isAnswering = false;
  parser.registerCsiHandler({ prefix: "?", final: "h" }, (params) => {
    if (isMuted() && params.flat().includes(1004)) {
      isAnswering = true;
      queueMicrotask(() => (isAnswering = false));
    }
    return false;
  });
  return () => isAnswering;
}
