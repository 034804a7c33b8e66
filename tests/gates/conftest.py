"""The world of both courses, with the engine in memory."""

from __future__ import annotations

from typing import Any

import pytest

from . import world as worlds


@pytest.fixture
def world(engine: Any, db: None) -> worlds.World:
    return worlds.laid_down(engine)
