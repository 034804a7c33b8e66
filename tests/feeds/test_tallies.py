"""Counters follow the trail exactly once, whatever order it was committed in and whoever is killed."""

import pytest

from sandboxes.lifecycle import audit, feeds
from sandboxes.lifecycle.feeds import cursor, tallies
from sandboxes.models import Outcome, Seal

from .conftest import sealed

pytestmark = pytest.mark.django_db


def test_each_event_counts_once_however_often_the_round_runs(happen):
    for outcome in (Outcome.OK, Outcome.OK, Outcome.REFUSED):
        happen(outcome=outcome)
        feeds.run_round()
        feeds.run_round()
    assert tallies.read() == {("sandbox.pause", "ok"): 2, ("sandbox.pause", "refused"): 1}


def test_a_round_that_breaks_half_way_counts_nothing_and_the_next_counts_all(happen, monkeypatch):
    happen("sandbox.pause")
    happen("sandbox.resume")
    add, done = tallies._add, []

    def dies(*args):
        if done:
            raise OSError("killed")
        done.append(add(*args))

    monkeypatch.setattr(tallies, "_add", dies)
    with pytest.raises(OSError, match="killed"):
        tallies.run_round()
    monkeypatch.setattr(tallies, "_add", add)
    tallies.run_round()
    assert tallies.read() == {("sandbox.pause", "ok"): 1, ("sandbox.resume", "ok"): 1}


def test_it_goes_by_the_seals_so_that_a_late_commit_is_not_lost():
    late, early = (audit.record(action, audit.SYSTEM) for action in ("sandbox.stop", "sandbox.start"))
    sealed(early)
    tallies.run_round()
    sealed(late)  # its transaction took longer: a smaller id comes after a larger one
    tallies.run_round()
    assert tallies.read() == {("sandbox.stop", "ok"): 1, ("sandbox.start", "ok"): 1}


def test_what_has_no_seal_yet_waits():
    audit.record("sandbox.pause", audit.SYSTEM)
    assert not tallies.run_round()
    assert tallies.read() == {}


def test_more_than_a_piece_is_more_to_do_at_once(happen, monkeypatch):
    monkeypatch.setattr(cursor, "PIECE", 2)
    for _ in range(3):
        happen()
    assert feeds.run_round()
    assert not feeds.run_round()
    assert tallies.read() == {("sandbox.pause", "ok"): 3}


def test_pruned_events_are_stepped_over(happen):
    happen("sandbox.pause")
    Seal.objects.create(number=2, event_id=999_999, digest="0" * 64, sealed_at=Seal.objects.get().sealed_at)
    happen("sandbox.resume")
    tallies.run_round()
    assert tallies.read() == {("sandbox.pause", "ok"): 1, ("sandbox.resume", "ok"): 1}
    assert cursor.of(tallies.NAME) == 3


def test_a_feed_that_breaks_stops_no_other(happen, monkeypatch):
    def breaks():
        raise OSError("no disk")

    monkeypatch.setattr(feeds, "FEEDS", {"broken": breaks, "tallies": tallies.run_round})
    happen()
    feeds.run_round()
    assert tallies.read() == {("sandbox.pause", "ok"): 1}


def test_launches_fall_into_buckets_by_their_duration(happen):
    for milliseconds in (400, 500, 501, 4_000_000):
        happen("sandbox.launch", duration=milliseconds)
    happen("sandbox.launch", duration=5, outcome=Outcome.FAILED)
    tallies.run_round()
    found = tallies.read()
    buckets = {label: count for (name, label), count in found.items() if name == tallies.LAUNCH}
    assert buckets == {"0": 2, "1": 1, str(len(tallies.BUCKETS)): 1}
    assert found[tallies.LAUNCH_SUM, ""] == 400 + 500 + 501 + 4_000_000
