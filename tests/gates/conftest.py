"""The world of both courses, with the engine in memory."""

from __future__ import annotations

from typing import Any

import pytest

from sandboxes.models import Image

from . import world as worlds


@pytest.fixture
def world(engine: Any, image: Image) -> worlds.World:
    return worlds.build(image)
