"""The way to the engine: made on first use, with a time limit on every call, and errors in our words.

It knows no client library; it is given a function that makes a client. Control calls and streams
have clients of their own, so that a full house of terminals can still be stopped.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import Any

from .base import EngineError, Unreachable
from .health import Health
from .translate import failure, refusal

log = logging.getLogger(__name__)

CONNECT = 2.0
PING = 2.0
CALL = 10.0
WORK = 30.0
"""Seconds: to connect, to a ping, to an ordinary call, to create, start, stop or remove."""

LOWEST_API = "1.41"
CONTROL_POOL = 64
STREAM_POOL = 600

patience: ContextVar[float] = ContextVar("patience", default=CALL)
"""How many seconds of silence the current call may last; the client reads it for each request."""

MakeClient = Callable[[int, str], Any]
"""From (connections to keep, API version) to a low-level client, without asking the engine."""


class Connection:
    """Two clients and the engine's health. Safe to use from any thread."""

    def __init__(self, make_client: MakeClient) -> None:
        self.health = Health()
        self._make = make_client
        self._lock = threading.Lock()
        self._clients: tuple[Any, Any] | None = None

    @contextmanager
    def control(self, seconds: float = CALL, *, reading: bool = False) -> Iterator[Any]:
        """The client for calls that answer and are done; see ``refusal`` for ``reading``."""
        with self.answering(reading), _limit(seconds):
            yield self._pair()[0]

    @contextmanager
    def streams(self, seconds: float = CALL) -> Iterator[Any]:
        """The client for connections that stay open. ``seconds`` is for the answer to begin."""
        with self.answering(), _limit(seconds):
            yield self._pair()[1]

    @contextmanager
    def answering(self, reading: bool = False) -> Iterator[None]:
        """Errors leave in our words, and the engine's health is noted either way."""
        with self.failing(reading):
            yield
        self.health.note_ok()

    @contextmanager
    def failing(self, reading: bool = False) -> Iterator[None]:
        """The same where a good end says nothing about the engine's health."""
        try:
            yield
        except Exception as error:
            ours = translate(error, reading)
            if isinstance(ours, Unreachable):
                self.health.note_error(ours)
            else:
                self.health.note_ok()
            if ours is error:
                raise
            raise ours from error

    def close(self) -> None:
        """Let go of all connections; the next call makes them anew."""
        with self._lock:
            clients, self._clients = self._clients, None
        for client in clients or ():
            client.close()

    def _pair(self) -> tuple[Any, Any]:
        """Both clients. The first caller finds out which API version the engine speaks.

        Not under the lock: an engine that is away must not make callers wait in line.
        """
        if self._clients is None:
            with _limit(PING):
                version = self._spoken_version()
            made = self._make(CONTROL_POOL, version), self._make(STREAM_POOL, version)
            with self._lock:
                self._clients = self._clients or made
        return self._clients

    def _spoken_version(self) -> str:
        """The API version the engine speaks; asked without one."""
        with closing(self._make(1, LOWEST_API)) as client:
            found = client.version(api_version=False)["ApiVersion"]
        if not re.fullmatch(r"\d+\.\d+", found):
            raise Unreachable("The engine's answer made no sense.", repr(found)[:200])
        return str(found)


def translate(error: Exception, reading: bool = False) -> EngineError:
    """Our error for whatever a call raised; our own pass unchanged."""
    if isinstance(error, EngineError):
        return error
    response = getattr(error, "response", None)
    if response is not None and hasattr(error, "explanation"):
        kind = response.headers.get("Content-Type", "")
        text = str(error.explanation or "")
        return refusal(response.status_code, text, is_json="json" in kind, reading=reading)
    cause = error.__cause__
    if isinstance(cause, Exception) and "Docker" in type(error).__name__:
        return translate(cause, reading=True)
    if isinstance(error, (KeyError, TypeError, AttributeError)):
        log.warning("An answer of the engine could not be read", exc_info=error)
    return failure(error)


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    token = patience.set(seconds)
    try:
        yield
    finally:
        patience.reset(token)
