/* One tile of the wall: what the server says of it is put where it belongs; and the order of all. */
import { duration } from "./format.js";

/** Put what came into a tile. `marks` holds the shapes by name. */
export function paint(tile, row, marks) {
  const part = (name) => tile.querySelector(`[data-${name}]`);
  Object.assign(tile.dataset, {
    status: row.status, since: row.since, came: row.came ? "1" : "", here: row.here ? "1" : "", seen: row.seen ? Math.round(row.seen) : "", through: row.through ? "1" : "",
    hand: row.hand ? Math.round(row.hand) : "", active: row.active ?? "",
  });
  const lines = part("lines");
  const text = row.lines.join("\n");
  if (lines.textContent !== text) lines.textContent = text;
  if (lines.scrollTop === 0) lines.scrollTop = lines.scrollHeight;
  part("word").textContent = row.word;
  part("word").parentElement.dataset.status = row.status;
  const mark = marks.querySelector(`[data-of="${CSS.escape(row.mark)}"]`);
  if (mark) part("mark").replaceChildren(...mark.cloneNode(true).childNodes);
  part("hand-word").hidden = !row.hand;
  part("load").textContent = load(row);
  pills(part("pills"), row);
}

/** The words beside a name, from the tile's data: Tile.presence in labs/tiles.py, word for word, second by second. */
export function presence({ came, here, seen, active }, now, isOver) {
  if (!came) return isOver ? "did not come" : "not here yet";
  if (isOver) return "";
  if (!here) return `left ${duration(seen ? now - Number(seen) : 0)} ago`;
  const idle = now - Number(active);
  return !active ? "" : idle < 60 ? "active" : `${duration(idle)} idle`;
}

function load({ cpu, memory }) {
  if (cpu === null && memory === null) return "";
  return `${cpu ?? "–"} % · ${memory ?? "–"} MB`;
}

function pills(holder, row) {
  holder.hidden = !row.pills.length;
  holder.setAttribute("aria-label", row.through ? "all steps done" : `step ${row.step} of ${row.pills.length}`);
  const shown = [...holder.children].map((one) => one.className).join();
  if (shown === row.pills.join() && holder.children.length === row.pills.length) return;
  holder.replaceChildren(...row.pills.map((name) => Object.assign(document.createElement("i"), { className: name })));
}

const number = (text) => (text ? Number(text) : Infinity);
const ORDERS = {
  name: () => [],
  hands: ({ hand }) => [number(hand)],
  stuck: ({ came, through, since }) => [came ? 0 : 1, through ? 1 : 0, number(since)],
};

/** Bring the tiles into their order; nothing is touched where they are in it. */
export function arrange(wall, sort) {
  const key = ORDERS[sort] ?? ORDERS.stuck;
  const tiles = [...wall.querySelectorAll(":scope > .tile")];
  const sorted = [...tiles].sort((one, other) => compare([...key(one.dataset), one.dataset.name], [...key(other.dataset), other.dataset.name]));
  if (sorted.some((tile, place) => tile !== tiles[place])) wall.append(...sorted);
}

function compare(one, other) {
  for (let place = 0; place < one.length; place += 1) {
    if (one[place] < other[place]) return -1;
    if (one[place] > other[place]) return 1;
  }
  return 0;
}
