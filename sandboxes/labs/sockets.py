"""Teaching's sockets; asgi adds them to core's."""

from __future__ import annotations

from typing import Any

from .consumers import SeatConsumer, WallConsumer

PATHS: dict[str, Any] = {
    r"^ws/seats/(?P<pk>\w+)/$": SeatConsumer.as_asgi(),
    r"^ws/labs/(?P<pk>\w+)/wall/$": WallConsumer.as_asgi(),
}
