"""A seat's socket and a wall's: nudges, messages, tiles. Who loses the right is shown out in two seconds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from sandboxes.consumers.base import Message, SocketConsumer
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Sandbox

from . import looking, wall, watching
from .models import Lab, Seat
from .watching import Place

AWAY = 30.0
"""Seconds without the page until a member of staff counts as gone: a reload, a lid, a moment without net."""

REMEMBERED = 200
"""Messages and changes that are known to be told."""


class TeachingConsumer(SocketConsumer):
    """A socket about a seat or a lab. Subclasses find the place and say which topics it hears."""

    rate, burst = 20.0, 60.0
    place = Place("", "", "", 0)
    what = "seat"
    """The word for it, for whom it is not there."""

    async def opened(self, sandbox: Sandbox | None) -> None:
        """Steps: 1. the place 2. the right to it 3. its topics."""
        self.told: OrderedDict[Any, None] = OrderedDict()
        found = await self.hub.read(self.find, self.scope["url_route"]["kwargs"]["pk"])
        if found is None:
            return await self.lose()
        self.place = found
        watching.open_sockets.add(self)
        if self.entry is None:
            return watching.open_sockets.discard(self)  # it was closed meanwhile
        return await self.begin()

    def find(self, pk: str) -> Place | None:
        """The place of that id, if this person may see it. Blocking."""
        place = self.place_of(pk)
        if place is not None and watching.now(self.user, place):
            return place
        return None

    def place_of(self, pk: str) -> Place | None:
        """The place of that id; here there are none. Blocking."""
        return None

    async def begin(self) -> None:
        """It may begin: join topics, send what comes first."""

    async def closed(self) -> None:
        watching.open_sockets.discard(self)

    async def lose(self) -> None:
        """Missing and forbidden look alike; it is on record."""
        if self.is_over:
            return
        watching.open_sockets.discard(self)
        missing = Refused("", f"There is no such {self.what}.")
        await self._note(f"{self.what}.view", missing, None)
        await self.goodbye(missing.message, "not_found", 4404)

    def hear(self, message: Message) -> None:
        """What a round of watching found (see there); here nobody waits for it."""

    def is_news(self, key: Any) -> bool:
        """Whether this was not told yet; it is from now on."""
        if key in self.told:
            return False
        self.told[key] = None
        while len(self.told) > REMEMBERED:
            self.told.popitem(last=False)
        return True


class SeatConsumer(TeachingConsumer):
    """One seat, for its student and the staff."""

    def place_of(self, pk: str) -> Place | None:
        row = Seat.objects.select_related("lab", "enrollment").filter(pk=pk).defer("lab__version").first()
        return Place(row.lab.course_id, row.lab_id, row.pk, row.enrollment.user_id) if row else None

    async def closed(self) -> None:
        await super().closed()
        if self.place.owner not in (0, self.user.pk):
            self.hub.do(self._gone())

    async def _gone(self) -> None:
        await asyncio.sleep(AWAY)
        here = {(one.user.pk, one.place.seat) for one in watching.open_sockets}
        if (self.user.pk, self.place.seat) not in here:
            await self.hub.read(looking.leave, self.place.seat, self.user, self.origin())

    async def begin(self) -> None:
        self.hub.rooms.join(self, f"seat-{self.place.seat}", f"seats-{self.place.lab}")

    def deliver(self, message: Message) -> None:
        """A nudge: that the seat changed, or a message in full."""
        if message["type"] != "message":
            return super().deliver({"type": "changed"})
        number = str(message.get("id", ""))
        key = number if number.startswith("message-") else None
        if key is None or self.is_news(key):
            frame = {"type": "message", "text": message["text"]}
            frame |= {name: message.get(name, "") for name in ("by", "about")}
            return super().deliver(frame | {"id": number} if key else frame)
        return None

    def hear(self, message: Message) -> None:
        if message["type"] == "message" or self.is_news((message["id"], message["at"])):
            self.deliver(message)


class WallConsumer(TeachingConsumer):
    """A lab's wall, for its staff."""

    what = "lab"

    def place_of(self, pk: str) -> Place | None:
        row = Lab.objects.filter(pk=pk).only("course_id").first()
        return Place(row.course_id, row.pk, "", 0) if row else None

    async def begin(self) -> None:
        self.wall = wall.join(self.place.lab, self)
        self.hub.rooms.join(self, "all", f"lab-{self.place.lab}", f"seats-{self.place.lab}")
        await self.send_json(self.hub.engine_frame())

    async def closed(self) -> None:
        await super().closed()
        if self.place.lab:
            wall.leave(self.place.lab, self)

    def show_tiles(self, rows: dict[str, dict[str, Any]], hands: int, lab: str) -> None:
        """One frame with what is new; the page fetches the help queue where ``hands`` is another."""
        super().deliver({"type": "tiles", "id": self.place.lab, "rows": rows, "hands": hands, "lab": lab})

    def deliver(self, message: Message) -> None:
        """What changed is told with the next tiles: a class that works would nudge ten times a second."""
        if message["type"] == "engine":
            super().deliver(message)
        elif message["type"] != "message":
            self.wall.stale()

    def hear(self, message: Message) -> None:
        if self.is_news((message["id"], message["at"])):
            self.wall.stale()
