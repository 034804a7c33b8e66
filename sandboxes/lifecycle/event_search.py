"""Finding events by words, in an index that the database keeps itself: quick however long the trail is.

Words are whole: ``alice``, ``web-3``, ``192.0.2.7``, ``sandbox.pause``; with ``*`` at its end one stands
for all that begin so. All have to be there. A verb of a sentence stands for its action: ``paused``.
The index is made by a migration: FTS5 beside SQLite's table, a column of PostgreSQL's.
"""

from __future__ import annotations

import re

from django.db import connection
from django.db.models import BigIntegerField, BooleanField, F, OrderBy, QuerySet
from django.db.models.expressions import RawSQL

from sandboxes.models import Event

from . import event_words

BETWEEN = re.compile(r"[\s!-)+,/;-?\[-^`{-~\u00a0-\u00bf\u2000-\u206f\u3000-\u3003]+")
"""What stands between words. Of marks only these belong to one: - _ . @ : and the star."""
MOST_WORDS = 12
"""Whoever asks for more is to be told: events without the rest would be found too."""
SHORTEST_VERB = 4

INDEX = "sandboxes_event_words"
FTS5 = [f"{INDEX}.rowid = sandboxes_event.id", f"{INDEX} MATCH %s"]
TSQUERY = "sandboxes_event.words @@ lower(%s)::tsquery"


def within(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    """Those of the rows in which all words of a text stand; all for a text without any.

    Order them by ``order``: SQLite then takes them out of the index as they come, and ends early.
    """
    words = tokens(text)[: MOST_WORDS + 1]  # an outcome may be among them
    if not words:
        return rows
    if connection.vendor == "postgresql":
        return rows.filter(RawSQL(TSQUERY, [_tsquery(words)], output_field=BooleanField()))
    return rows.extra(tables=[INDEX], where=FTS5, params=[_fts5(words)])


def order(text: str, oldest_first: bool) -> OrderBy:
    """By the ids of what ``within`` finds."""
    is_joined = tokens(text) and connection.vendor != "postgresql"
    column = RawSQL(f"{INDEX}.rowid", [], output_field=BigIntegerField()) if is_joined else F("id")
    return OrderBy(column, descending=not oldest_first)


def beyond(rows: QuerySet[Event], text: str, pk: int, is_up: bool) -> QuerySet[Event]:
    """Those of what ``within`` found whose id is greater than this one, or less."""
    if tokens(text) and connection.vendor != "postgresql":
        return rows.extra(where=[f"{INDEX}.rowid {'>' if is_up else '<'} %s"], params=[pk])
    return rows.filter(pk__gt=pk) if is_up else rows.filter(pk__lt=pk)


def tokens(text: str) -> list[str]:
    """The words of a text as they are looked for, a star only at an end."""
    found = (_token(one) for one in BETWEEN.split(text.replace("\0", " ").lower()))
    return [one for one in found if one]


def _token(word: str) -> str:
    stem = word.replace("*", "").rstrip(".:")
    return f"{stem}*" if word.endswith("*") and stem else stem


def verbs(word: str) -> list[str]:
    """The actions in whose sentence this word is the verb."""
    if len(word) < SHORTEST_VERB:
        return []
    return [
        one.action
        for one in event_words.words().values()
        if word in {text.partition(" ")[0] for text in (one.to, one.done, one.during) if text}
    ]


def _fts5(words: list[str]) -> str:
    """In FTS5's language: every word in quotes, so that none is an operator."""
    return " AND ".join(f"({' OR '.join(_quoted(one) for one in (word, *verbs(word)))})" for word in words)


def _quoted(word: str) -> str:
    return f'"{word.removesuffix("*")}"{"*" if word.endswith("*") else ""}'


def _tsquery(words: list[str]) -> str:
    return " & ".join(f"({' | '.join(_lexeme(one) for one in (word, *verbs(word)))})" for word in words)


def _lexeme(word: str) -> str:
    stem = word.removesuffix("*").replace("\\", "\\\\").replace("'", "''")
    return f"'{stem}'{':*' if word.endswith('*') else ''}"
