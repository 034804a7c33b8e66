"""What threads of this process are at, so that nothing is begun by two."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from . import work


class InHand:
    """Keys of what is being done in one of the pools of ``work``."""

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._keys: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._keys)

    def keys(self) -> set[str]:
        """As of now. Ask before the rows: whose thread is through by now is through in its row too."""
        return set(self._keys)

    def begin(self, key: str, do: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have a thread ``do(*args)``; the key is in hand until that is over, however it ends."""
        self.add(key)
        try:
            job = work.submit(do, *args, pool=self._pool)
        except BaseException:
            self.discard(key)
            raise
        job.add_done_callback(lambda _: self.discard(key))
        return job

    def add(self, key: str) -> None:
        """It is in hand until it is discarded, in a job of the caller's own."""
        self._keys.add(key)

    def discard(self, key: str) -> None:
        """It is over."""
        self._keys.discard(key)

    def forget(self) -> None:
        """As another process would: nothing is in hand."""
        self._keys.clear()
