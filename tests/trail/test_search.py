"""Words find their events on both databases, and nothing else; no text breaks the search."""

import pytest

from sandboxes.lifecycle import audit, event_search
from sandboxes.models import Event, Outcome

pytestmark = pytest.mark.django_db
ALICE = audit.Origin("user", 7, "alice", "192.0.2.7", on_behalf="carol.b", request_id="req-abc")


@pytest.fixture
def trail(running):
    """Events that differ in every word; their reasons by number."""
    audit.record("sandbox.pause", ALICE, running, reason="One. It was said.", operation="0123abcd")
    audit.record("user.sign_in", audit.Origin("user", 8, "o'brien@example.org", "2001:db8::7"), reason="Two")
    argv = {"argv": ["sh", "-c", "cat /etc/passwd"]}
    audit.record("command.run", ALICE, running, reason="Three", detail=argv, outcome=Outcome.FAILED)
    place, target = (
        audit.Place("crs_77", "Advanced Shells", "student"),
        audit.Target("lab", "lab_1", "Shells"),
    )
    audit.record("lab.open", audit.SYSTEM, reason="Four “quoted” Übung", target=target, place=place,
                 changes={"title": ["old", "brand-new"], "place": ["", "Größe"]})  # fmt: skip
    return running


def found(text):
    rows = event_search.within(Event.objects.all(), text).exclude(reason="").exclude(action="sandbox.launch")
    return {row.reason.partition(" ")[0].strip(".") for row in rows}


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("alice", {"One", "Three"}),
        ("ALICE", {"One", "Three"}),
        ("ali", set()),
        ("ali*", {"One", "Three"}),
        ("alice paused", {"One"}),
        ("paused", {"One"}),
        ("sandbox.pause", {"One"}),
        ("pause", {"One"}),
        ("said", {"One"}),
        ("said.", {"One"}),
        ("quiet-otter", {"One", "Three"}),
        ("quiet", set()),
        ("192.0.2.7", {"One", "Three"}),
        ("192.0.2.*", {"One", "Three"}),
        ("2001:db8::7", {"Two"}),
        ("o'brien@example.org", {"Two"}),
        ("brien@example.org", {"Two"}),
        ("0123abcd", {"One"}),
        ("req-abc", {"One", "Three"}),
        ("carol.b", {"One", "Three"}),
        ("/etc/passwd", {"Three"}),
        ("cat passwd failed", {"Three"}),
        ("crs_77", {"Four"}),
        ("größe", {"Four"}),
        ("Größe", {"Four"}),
        ("grö*", {"Four"}),
        ("advanced shells", {"Four"}),
        ("übung", {"Four"}),
        ("quoted", {"Four"}),
        ("brand-new", {"Four"}),
        ("alice brand-new", set()),
        ("", {"One", "Two", "Three", "Four"}),
        ("  ", {"One", "Two", "Three", "Four"}),
    ],
)
def test_words(trail, text, reasons):
    assert found(text) == reasons


@pytest.mark.parametrize(
    "text",
    [
        '"', "'", '""" OR', "NOT", "a AND", "near(a b)", "(", "*", "**", "a*b", "^a", "-a", "a:b",
        "{x}", "\\",
        "'a", "a\\'b", "\0", "a\0b", "%s", "é" * 400, "\u202e", "😀", "&|!", "<->", "'x':*", ":*", ".",
        "text:alice", "x " * 500,
    ],
)  # fmt: skip
def test_no_text_breaks_it(trail, text):
    assert isinstance(list(event_search.within(Event.objects.all(), text)), list)


def test_an_event_can_be_long(trail):
    audit.record("lab.run", ALICE, detail={f"key{n}": ["x" * 300] * 100 for n in range(100)}, reason="Long")
    assert found("long") == {"Long"}
