"""What takes long to build is built once a minute and laid down for each test as it was then.

    world = stored.laid_down("world", lambda: worlds.build(image), engine)

Each test has rows, files and containers of its own, exactly those that building left: nothing is shared
but bytes. It is laid down only where the database is empty, else built; and what is older than a minute
is built again, so that nothing is due that would not be due on a slow machine.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction

from tests.emptying import filled
from tests.fakes.engine import FakeEngine

AGE = 60.0
"""Seconds."""
OF_A_PROCESS = {"sandboxes_lease"}
"""Rows that the process makes again when it needs them."""
_kept: dict[str, Kept] = {}


@dataclass
class Kept:
    """Rows by INSERT, files by name, and the rest in pickle."""

    rows: dict[str, list[tuple[Any, ...]]]
    files: dict[Path, bytes]
    rest: bytes
    at: float

    @property
    def is_fresh(self) -> bool:
        return time.perf_counter() - self.at < AGE


def laid_down(name: str, build: Callable[[], Any], engine: FakeEngine) -> Any:
    """What ``build`` gave, and all that it left behind."""
    if filled() or engine.calls:
        return build()
    kept = _kept.get(name)
    if kept is not None and kept.is_fresh:
        return _lay_down(kept, engine)
    began, made = time.perf_counter(), build()
    _kept[name] = Kept(dict(_rows()), dict(_files()), pickle.dumps((made, engine.memory())), began)
    return made


def _lay_down(kept: Kept, engine: FakeEngine) -> Any:
    with transaction.atomic(), connection.cursor() as cursor:
        for insert, rows in kept.rows.items():
            cursor.executemany(insert, rows)
    for path, content in kept.files.items():
        there = settings.DATA_DIR / path
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(content)
    made, memory = pickle.loads(kept.rest)
    engine.remember(memory)
    return made


def _rows() -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """By the columns of the models: others are the database's own work."""
    quote, there = connection.ops.quote_name, filled() - OF_A_PROCESS
    for model in apps.get_models(include_auto_created=True):
        table, fields = model._meta.db_table, model._meta.local_concrete_fields
        if table not in there:
            continue
        columns = ", ".join(quote(field.column) for field in fields)
        marks = ", ".join(["%s"] * len(fields))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {quote(table)}")
            yield f"INSERT INTO {quote(table)} ({columns}) VALUES ({marks})", cursor.fetchall()


def _files() -> Iterator[tuple[Path, bytes]]:
    for path in Path(settings.DATA_DIR).rglob("*"):
        if path.is_file():
            yield path.relative_to(settings.DATA_DIR), path.read_bytes()
