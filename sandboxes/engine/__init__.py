"""What runs containers, behind our own words: ``get_engine()`` is the one way in."""

from __future__ import annotations

import threading

from .base import Engine

_engine: Engine | None = None
_lock = threading.Lock()


def get_engine() -> Engine:
    """The process-wide Engine of this install, made on first use from the settings."""
    global _engine
    with _lock:
        if _engine is None:
            from .docker_engine import DockerEngine

            _engine = DockerEngine.from_settings()
    return _engine


def set_engine(engine: Engine | None) -> None:
    """Put another Engine in its place, or None to make it anew (tests, and at shutdown)."""
    global _engine
    with _lock:
        _engine = engine
