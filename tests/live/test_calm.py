"""Sockets while the database or Redis is away."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError
from redis.exceptions import ConnectionError as RedisAway

from sandboxes.consumers.calm import LATER, Calm
from sandboxes.unsaid import Unsaid


async def heard(error: Exception) -> list[dict[str, Any]]:
    """What a browser is told when the application ends like this."""
    said: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await Calm(application)({"type": "websocket"}, None, send)
    return said


@pytest.mark.parametrize("error", [OperationalError("gone\nwhy"), InterfaceError("closed"), RedisAway("no")])
async def test_a_store_that_is_away_is_no_fault(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    assert await heard(error) == [{"type": "websocket.close", "code": LATER}]
    (line,) = caplog.records
    assert line.exc_info is None
    assert "\n" not in line.getMessage()


async def test_an_error_without_words_has_its_name(caplog: pytest.LogCaptureFixture) -> None:
    await heard(OperationalError())
    assert "OperationalError" in caplog.text


async def test_a_socket_that_is_gone_already_is_no_fault_either() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise OperationalError("gone")

    async def send(message: Any) -> None:
        raise OSError("closed")

    await Calm(application)({}, None, send)


@pytest.mark.parametrize("error", [ZeroDivisionError(), IntegrityError("a row breaks a rule")])
async def test_faults_of_ours_stay_faults(error: Exception) -> None:
    with pytest.raises(type(error)):
        await heard(error)


@pytest.mark.parametrize(("status", "kept"), [(503, False), (500, True)])
def test_only_what_is_our_fault_has_a_traceback_in_the_log(status: int, kept: bool) -> None:
    facts = {"status_code": status, "exc_info": (ValueError, ValueError(), None), "msg": "x"}
    record = logging.makeLogRecord(facts)
    assert Unsaid().filter(record)
    assert (record.exc_info is not None) is kept
