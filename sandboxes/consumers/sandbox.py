"""One sandbox's socket: that it changed, its numbers, and the output of its commands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sandboxes.live import output
from sandboxes.live.output import Follower
from sandboxes.live.series import Series
from sandboxes.live.stats import Rows, facts_of
from sandboxes.models import Command, CommandStatus, Sandbox

from .base import BAD_TYPE, Message, SocketConsumer

MOST = 20
TOO_MANY = f"At most {MOST} commands can be followed at a time."
NO_COMMAND = "There is no such command in this sandbox."


class SandboxConsumer(SocketConsumer):
    """Nudges, numbers and command output of one sandbox."""

    rate, burst = 20.0, 60.0

    async def opened(self, sandbox: Sandbox | None) -> None:
        """Steps: 1. the engine's health  2. the numbers so far  3. whatever comes."""
        assert sandbox is not None
        self.pk = sandbox.pk
        self.followed: dict[str, Follower] = {}
        self.sending = asyncio.Lock()
        self.hub.rooms.join(self, "all", f"sandbox-{self.pk}")
        await self.send_json(self.hub.engine_frame())
        self.hub.stats.watch(self, {self.pk: facts_of(sandbox)})
        series = self.hub.stats.series[self.pk]
        samples = [series.as_sample(one) for one in series.samples]
        await self.send_json({"type": "history", "samples": samples})

    async def closed(self) -> None:
        self.hub.stats.forget(self)
        for follower in self.followed.values():
            follower.stop()

    async def got(self, message: Message) -> None:
        """``follow`` or ``unfollow`` a command."""
        command_id = message.get("command")
        if message["type"] not in ("follow", "unfollow"):
            await self.error("bad_type", BAD_TYPE)
        elif not isinstance(command_id, str):
            await self.error("bad_command", NO_COMMAND)
        elif message["type"] == "follow":
            await self._follow(command_id)
        else:
            self._unfollow(command_id)

    def deliver(self, message: Message) -> None:
        if message["type"] == "changed":
            message = {"type": "changed", "id": message["id"]}
        super().deliver(message)

    def show(self, rows: Rows, series: Mapping[str, Series]) -> None:
        """The newest sample; one without numbers when it does not run."""
        one = series[self.pk]
        sample = rows[self.pk] or (one.samples[-1] if one.samples else None)
        if sample is not None:
            self.deliver({"type": "stats", "sample": one.as_sample(sample)})

    async def _follow(self, command_id: str) -> None:
        """Replay and follow; a command that has ended is only named, so that its record is fetched."""
        self._unfollow(command_id)
        if len(self.followed) >= MOST:
            return await self.error("too_many", TOO_MANY)
        status = await self.hub.read(_status, self.pk, command_id)
        if status is None:
            return await self.error("bad_command", NO_COMMAND)
        if self.entry is None:
            return None
        if status == CommandStatus.RUNNING or output.is_known(command_id):
            follower = Follower(command_id, self.pk, self._send_safely, self.sending)
            self.followed[command_id] = follower
            follower.start()
        if status != CommandStatus.RUNNING:
            self.deliver({"type": "command", "id": command_id})
        return None

    def _unfollow(self, command_id: str) -> None:
        follower = self.followed.pop(command_id, None)
        if follower is not None:
            follower.stop()


def _status(sandbox_id: str, command_id: str) -> str | None:
    rows = Command.objects.filter(pk=command_id, sandbox_id=sandbox_id)
    return rows.values_list("status", flat=True).first()
