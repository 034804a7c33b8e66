"""What tells a database or a Redis that cannot be used just now from a fault of ours."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError


def is_away(error: BaseException | None) -> bool:
    """Whether it says so. A row that breaks a rule does not; Redis' library is there only with Redis."""
    return isinstance(error, OperationalError | InterfaceError) or _is_redis(error)


def _is_redis(error: BaseException | None) -> bool:
    return type(error).__module__.startswith("redis.")
