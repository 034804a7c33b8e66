"""Turns the engine's raw statistics into our StatsSample; cgroup v1 and v2.

Source: Docker Engine API v1.41, "Get container stats based on resource usage".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .base import StatsSample

Raw = dict[str, Any]
_NEVER = "0001-01-01"
_ON_ITS_WAY = ("total_dirty", "total_writeback", "file_dirty", "file_writeback")


class StatsReader:
    """Reads one container's samples in order; it remembers the last to work out ``cpu``."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def read(self, raw: Raw) -> StatsSample | None:
        """The sample, or None when the engine has nothing to say (the container does not run)."""
        at = seconds(raw.get("read", ""))
        if at is None:
            return None
        memory, pids = raw.get("memory_stats") or {}, raw.get("pids_stats") or {}
        rx, tx = network(raw)
        block_read, block_write = blocks(raw)
        return StatsSample(
            at=at,
            cpu=self._cores(at, raw),
            memory=memory_in_use(memory),
            memory_limit=memory.get("limit"),
            rx=rx,
            tx=tx,
            block_read=block_read,
            block_write=block_write,
            pids=pids.get("current", 0) if pids else None,  # the engine leaves a zero out
        )

    def _cores(self, at: float, raw: Raw) -> float | None:
        """Cores used since the last sample; None on the first, and after a counter went back."""
        used = (raw.get("cpu_stats", {}).get("cpu_usage") or {}).get("total_usage")
        last, self._last = self._last, None if used is None else (at, used)
        if used is None or last is None:
            return None
        elapsed, spent = at - last[0], (used - last[1]) / 1e9
        return spent / elapsed if elapsed > 0 and spent >= 0 else None


def seconds(stamp: str) -> float | None:
    """The engine's RFC 3339 time with nanoseconds as epoch seconds; None for its "never"."""
    found = instant(stamp)
    return found.timestamp() if found else None


def instant(stamp: str) -> datetime | None:
    """The engine's RFC 3339 time as a UTC datetime (to the microsecond); None for its "never"."""
    if not stamp or stamp.startswith(_NEVER):
        return None
    return datetime.fromisoformat(stamp).astimezone(UTC)


def memory_in_use(memory: Raw) -> int | None:
    """Bytes in use without the page cache that could be given back at once."""
    usage, details = memory.get("usage"), memory.get("stats") or {}
    if usage is None:
        return None
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return int(usage - cache if cache < usage else usage)


def on_its_way(memory: Raw) -> int:
    """Bytes in the page cache that are not on the disk yet; words of cgroup v1, then of v2."""
    details = memory.get("stats") or {}
    return int(sum(details.get(word, 0) for word in _ON_ITS_WAY))


def network(raw: Raw) -> tuple[int | None, int | None]:
    """Bytes received and sent over all interfaces; None where there is no network."""
    interfaces = raw.get("networks")
    if not interfaces:
        return None, None
    return (
        sum(one.get("rx_bytes", 0) for one in interfaces.values()),
        sum(one.get("tx_bytes", 0) for one in interfaces.values()),
    )


def blocks(raw: Raw) -> tuple[int | None, int | None]:
    """Bytes read from and written to block devices. The engine's null means "none so far"."""
    if "blkio_stats" not in raw:
        return None, None
    entries = raw["blkio_stats"].get("io_service_bytes_recursive") or []
    return _sum(entries, "read"), _sum(entries, "write")


def _sum(entries: list[Raw], operation: str) -> int:
    return sum(one.get("value", 0) for one in entries if one.get("op", "").lower() == operation)
