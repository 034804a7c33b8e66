"""The list's socket: which sandboxes changed, and the numbers of those it shows."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from sandboxes import access
from sandboxes.live.series import Facts, Series
from sandboxes.live.stats import Rows, facts_of
from sandboxes.models import Sandbox

from .base import BAD_TYPE, Message, SocketConsumer

MOST = 100
BAD_IDS = f"ids must be a list of at most {MOST} sandbox ids."


class FleetConsumer(SocketConsumer):
    """Nudges for every sandbox its person may see; numbers of those the page watches."""

    rate, burst = 20.0, 60.0

    async def opened(self, sandbox: Sandbox | None) -> None:
        topics = ["staff"] if self.user.is_staff else []
        self.hub.rooms.join(self, "all", "images", f"owner-{self.user.pk}", *topics)
        await self.send_json(self.hub.engine_frame())

    async def closed(self) -> None:
        self.hub.stats.forget(self)

    async def got(self, message: Message) -> None:
        """``watch``: the sandboxes on the page, in place of those before."""
        if message["type"] != "watch":
            return await self.error("bad_type", BAD_TYPE)
        ids = message.get("ids")
        if not isinstance(ids, list) or len(ids) > MOST or not all(isinstance(one, str) for one in ids):
            return await self.error("bad_ids", BAD_IDS)
        allowed = await self.hub.read(_visible, self.user, ids)
        if self.entry is not None:
            self._watch(allowed)
        return None

    def unwatch(self, ids: Collection[str]) -> None:
        """These are not theirs any more."""
        kept = {pk: one.facts for pk, one in self.hub.stats.series.items() if pk in self._watched()}
        self._watch({pk: known for pk, known in kept.items() if pk not in ids})

    def deliver(self, message: Message) -> None:
        if message["type"] == "changed":
            owned = message["owner"] == self.user.pk
            message = {"type": "changed", "id": message["id"], "owned": owned}
        super().deliver(message)

    def show(self, rows: Rows, series: Mapping[str, Series]) -> None:
        """One frame with all that is new."""
        shown = {pk: series[pk].as_row(sample) if sample else None for pk, sample in rows.items()}
        self.deliver({"type": "stats", "at": round(time.time(), 3), "rows": shown})

    def _watched(self) -> frozenset[str]:
        return self.entry.watched if self.entry is not None else frozenset()

    def _watch(self, wanted: dict[str, Facts]) -> None:
        assert self.entry is not None
        self.entry.watched = frozenset(wanted)
        self.hub.stats.watch(self, wanted)


def _visible(user: Any, ids: list[str]) -> dict[str, Facts]:
    """Facts about those of these sandboxes that this person may see. Two queries."""
    columns = ("owner_id", "native_id", "status", "cpus", "memory", "pids")
    rows = list(Sandbox.objects.filter(pk__in=ids).only(*columns))
    access.learn(rows)
    return {row.pk: facts_of(row) for row in rows if access.can(user, row, access.VIEW)}
