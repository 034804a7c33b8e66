"""What a row says, and what changed between two looks at it: for the trail, so never secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from django.db.models import Field, ManyToManyField, Model

Values = dict[str, Any]
SECRET = re.compile(r"(^|_)(password|secret|token|keys?|url|invite|code|marker|claim)(_|$)")
"""Names of columns of which only that they changed is put on record."""
HIDDEN = "(not shown)"
UNTOLD = frozenset({"id", "last_login", "date_joined", "changed_at"})
"""Changes of these tell nothing."""


def of(row: Model, names: Iterable[str] | None = None) -> Values:
    """The row's columns and its many-to-many sets, or those of these names, as plain data."""
    wanted = None if names is None else set(names)
    fields = (*row._meta.concrete_fields, *row._meta.many_to_many)
    return {
        field.name: _value(row, field)
        for field in fields
        if field.name not in UNTOLD and (wanted is None or field.name in wanted)
    }


def _value(row: Model, field: Field[Any, Any]) -> Any:
    if isinstance(field, ManyToManyField):
        return sorted(str(one) for one in getattr(row, field.name).all())
    value = getattr(row, field.name) if field.is_relation else field.value_from_object(row)
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What differs, each [before, after]; an empty side stands for a row that was not there."""
    names = [*after, *(name for name in before if name not in after)]
    pairs = {name: [before.get(name), after.get(name)] for name in names}
    return {name: _shown(name, pair) for name, pair in pairs.items() if _differs(*pair)}


def _differs(before: Any, after: Any) -> bool:
    return bool(before != after and (before or after or not (before is None or after is None)))


def _shown(name: str, pair: list[Any]) -> list[Any]:
    return [HIDDEN if one else one for one in pair] if SECRET.search(name) else pair
