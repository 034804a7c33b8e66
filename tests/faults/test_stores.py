"""Sixteen at once write to the same database: each waits for the others, and nobody is told so."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connection

from sandboxes.lifecycle import actions, audit
from sandboxes.models import Event, Sandbox


@pytest.mark.django_db(transaction=True)
def test_sixteen_writers_at_once(launch: Any, engine: Any, settings: Any, scale: Any, told: Any) -> None:
    """Each operation is a change with its event, in one transaction, as every door makes it."""
    sandboxes, count = [launch(memory="32m") for _ in range(16)], scale(600, 10_000) // 16
    faults: list[str] = []
    done: Counter[str] = Counter()
    before = Event.objects.count()

    def write(sandbox: Sandbox) -> None:
        try:
            for number in range(count):
                word = ("pause", "resume")[number % 2]
                result = actions.act(sandbox, word, audit.SYSTEM, wait=None)
                done["done" if result.done else result.message] += 1
        except Exception as error:
            faults.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[one], daemon=True) for one in sandboxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(1200)
    assert faults == []
    assert done == {"done": 16 * count}
    assert Event.objects.count() - before == 2 * 16 * count  # the request and the outcome of each
    told(writers=16, operations=16 * count, locked=0, lost=0, vendor=connection.vendor)
