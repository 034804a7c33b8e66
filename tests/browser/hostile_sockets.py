"""What our sockets would say if everything in it were somebody's hostile text."""

from __future__ import annotations

import base64
import json
from typing import Any

from playwright.sync_api import BrowserContext, WebSocketRoute

from tests.gates.hostile import Pen


def play(context: BrowserContext, pen: Pen) -> None:
    """Every socket of the browser's pages is answered by this, and by no server."""
    context.route_web_socket(lambda address: "/ws/" in address, lambda socket: answer(socket, pen))


def answer(socket: WebSocketRoute, pen: Pen) -> None:
    words = socket.url.partition("/ws/")[2].strip("/").split("/")
    kind = "terminal" if "terminals" in words else words[0] + ("-one" if len(words) > 1 else "")
    for frame in FRAMES.get(kind, lambda *_: [])(pen, words):
        socket.send(frame if isinstance(frame, bytes) else json.dumps(frame))
    socket.on_message(lambda data: follow(socket, pen, data))


def follow(socket: WebSocketRoute, pen: Pen, data: str | bytes) -> None:
    """A command's output, for who asks."""
    message = json.loads(data) if isinstance(data, str) else {}
    if message.get("type") == "follow":
        text = pen.next("socket.output", 3000).encode("utf-8", "replace")
        for stream in ("stdout", "stderr"):
            frame = {"type": "output", "command": message["command"], "stream": stream, "offset": 0}
            socket.send(json.dumps(frame | {"data": base64.b64encode(text).decode()}))


def terminal(pen: Pen, words: list[str]) -> list[Any]:
    text = pen.next("socket.terminal", None)
    others = [pen.next("socket.others", 200), pen.next("socket.others", 200)]
    attached = {"type": "attached", "shell": "m_1", "offset": 0, "head": 0, "resumed": False, "viewers": 3,
                "leader": True, "answers": True, "others": others, "cols": 80, "rows": 24}  # fmt: skip
    recording = {"type": "recording", "on": True, "policy": "always", "keystrokes": True, "yours": True}
    return [
        attached,
        {"type": "viewers", "count": 3, "leader": True, "answers": True, "others": others[::-1]},
        recording | {"sentence": pen.next("socket.recording", 300)},
        text.encode("utf-8", "replace") + b"\r\n",
        {"type": "terminals", "names": ["main", "two"]},
        {"type": "error", "code": "x", "message": pen.next("socket.error", 300)},
        {"type": "ended", "reason": "exited", "sentence": pen.next("socket.ended", 200), "again": True},
    ]


def seat(pen: Pen, words: list[str]) -> list[Any]:
    message = {"type": "message", "text": pen.next("socket.message", 900)}
    return [message | {"id": "message-9", "by": pen.next("socket.by", 150)}]


def wall(pen: Pen, words: list[str]) -> list[Any]:
    from sandboxes.labs.models import Seat

    row = {"status": "running", "since": 1, "came": True, "here": True, "seen": None, "through": False,
           "hand": 1, "active": 1, "cpu": None, "memory": None, "step": 1}  # fmt: skip
    texts = {name: pen.next(f"socket.{name}", 200) for name in ("word", "mark", "hand_by", "status")}
    row |= texts | {"lines": [pen.next("socket.lines", 500)] * 6, "pills": [pen.next("socket.pills", 40)]}
    seats = Seat.objects.filter(lab=words[1]).values_list("pk", flat=True)
    return [{"type": "tiles", "id": words[1], "rows": dict.fromkeys(seats, row)}]


def sandbox(pen: Pen, words: list[str]) -> list[Any]:
    away = {"type": "engine", "unreachable_since": pen.next("socket.engine", 100)}
    return [away, {"type": "changed", "id": words[1]}]


def fleet(pen: Pen, words: list[str]) -> list[Any]:
    name = pen.next("socket.fleet", 100)
    rows = {name: {"cpu": name, "cpus": name, "memory": name, "memory_limit": name}}
    return [{"type": "stats", "at": 1, "rows": rows}, {"type": "changed", "id": name, "owned": True}]


FRAMES: dict[str, Any] = {"terminal": terminal, "seats-one": seat, "labs-one": wall, "sandboxes-one": sandbox,
                          "sandboxes": fleet}  # fmt: skip
