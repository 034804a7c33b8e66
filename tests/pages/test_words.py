"""The story of a sandbox in plain words, and what came of acts on several."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.lifecycle import audit, event_words
from sandboxes.lifecycle.actions import Result
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import Event, Outcome
from sandboxes.views.words import timeline, together

pytestmark = pytest.mark.django_db
ALICE = audit.Origin("user", 1, "alice")


@pytest.fixture
def told(row):
    """``told(("sandbox.pause", "ok"), ...)``: the story of these events, oldest first, as sentences."""
    sandbox = row()

    def story(*events, commands=None):
        start = timezone.now() - timedelta(hours=1)
        for number, (action, outcome, *more) in enumerate(events):
            options = {"origin": ALICE, **(more[0] if more else {})}
            audit.record(action, options.pop("origin"), sandbox, outcome=Outcome(outcome),
                         at=start + timedelta(seconds=number), **options)  # fmt: skip
        lines = timeline(list(Event.objects.filter(sandbox_id=sandbox.pk)), commands)
        return [f"{one.who} {one.before} {one.code}{one.after}".strip().replace("  ", " ") for one in lines]

    return story


def test_a_request_is_silent_once_something_came_of_it(told):
    events = ("sandbox.pause", "requested", {"operation": "1"}), ("sandbox.pause", "ok", {"operation": "1"})
    assert told(*events) == ["alice paused it"]


def test_a_request_is_told_while_it_is_under_way(told):
    assert told(("sandbox.pause", "requested", {"operation": "1"})) == ["alice is pausing it"]


def test_a_launch_tells_both_and_how_long_it_took(told):
    events = ("sandbox.launch", "requested", {"operation": "1"}), ("sandbox.launch", "ok", {"operation": "1"})
    assert told(*events) == ["running, 1.0 s after launch", "alice launched it"]


def test_a_launch_that_waits_for_the_engine_has_not_failed(told):
    waits = {"operation": "1", "reason": "waiting for the engine"}
    assert told(("sandbox.launch", "requested", {"operation": "1"}), ("sandbox.launch", "failed", waits)) == [
        "waiting for the engine",
        "alice launched it",
    ]


@pytest.mark.parametrize("action", TABLE)
@pytest.mark.parametrize("outcome", Outcome)
def test_every_action_and_outcome_has_words(action, outcome, told):
    (sentence,) = told((f"sandbox.{action}", outcome))
    assert sentence
    assert "{" not in sentence


def test_the_clock_and_the_engine_have_names(told):
    assert told(("sandbox.remove", "ok", {"origin": audit.CLEANUP})) == ["Cleanup removed it"]
    assert (
        told(("engine.exit", "ok", {"origin": audit.ENGINE, "reason": "out of memory"}))[0] == "out of memory"
    )


@pytest.mark.parametrize(("by", "name"), [(audit.CLEANUP, "Cleanup"), (audit.PROVISION, "Provision")])
def test_a_loop_has_one_name_in_the_story_and_in_the_trail(told, running, by, name):
    assert told(("sandbox.remove", "ok", {"origin": by})) == [f"{name} removed it"]
    event = audit.record("sandbox.remove", by, running)
    assert event_words.sentence(event) == f"{name} removed sandbox quiet-otter"


def test_a_reason_that_says_nothing_new_is_left_out(told, row):
    sandbox = row()
    for reason in ("stopped by alice", "its time was over"):
        audit.record("sandbox.stop", ALICE, sandbox, reason=reason)
    audit.record(
        "terminal.end", audit.ENGINE, sandbox, reason="The shell has ended.", detail={"terminal": "main"}
    )
    lines = timeline(list(Event.objects.filter(sandbox_id=sandbox.pk)))
    assert [(one.who, one.code, one.why) for one in lines] == [
        ("", "main", ""),
        ("alice", "", "its time was over"),
        ("alice", "", ""),
    ]


@pytest.mark.parametrize(
    "reason",
    ["This sandbox was stopped by alice.", "The time of this sandbox was over, so it was removed."],
)
def test_a_stop_is_told_once_not_by_its_terminals_too(reason, told):
    end = {"origin": audit.ENGINE, "reason": reason, "detail": {"terminal": "main"}}
    stop = [("sandbox.stop", outcome, {"operation": "1"}) for outcome in ("requested", "ok")]
    assert told(*stop, ("terminal.end", "failed", end)) == ["alice stopped it"]


def test_a_shell_that_ends_by_itself_is_told(told):
    end = {"origin": audit.ENGINE, "reason": "The shell was ended because this sandbox ran out of memory."}
    assert told(("terminal.end", "failed", end)) != []


def test_more_time_is_told_once_with_how_much(told):
    more = ("sandbox.extend", "ok", {"detail": {"seconds": 1800}})
    assert told(more) == ["alice gave it 30 min more"]
    assert told(more, more, ("sandbox.pause", "ok"), more)[:3] == [
        "alice gave it 30 min more",
        "alice paused it",
        "alice gave it 1 h 30 min more, in 3 steps",
    ]


def test_more_time_of_which_nobody_knows_how_much_is_told_without(told):
    by_bob = {"origin": audit.Origin("user", 2, "bob")}
    assert told(("sandbox.extend", "ok"), ("sandbox.extend", "ok", by_bob)) == [
        "bob gave it more time",
        "alice gave it more time",
    ]


def test_an_empty_command_is_no_news(told):
    empty = {"reason": "Type a command first."}
    assert told(
        ("command.run", "refused", empty), ("command.run", "refused", {"reason": "a is paused."})
    ) == ["alice could not run a command"]


def test_commands_are_told_as_they_were_typed(told):
    events = (
        ("command.run", "ok", {"detail": {"command": "cmd_1"}}),
        ("command.run", "failed", {"detail": {"command": "cmd_2"}}),
        ("command.run", "refused", {}),
    )
    assert told(*events, commands={"cmd_1": "ls", "cmd_2": "x" * 200}) == [
        "alice could not run a command",
        f"alice ran {'x' * 79}…",
        "alice ran ls",
    ]


def test_a_command_that_was_cut_off_is_told_as_whose_it_was(told):
    """Cleanup never ran it."""
    origin = replace(audit.CLEANUP, on_behalf="alice")
    end = ("command.run", "failed", {"origin": origin, "detail": {"command": "cmd_1"}})
    assert told(end, commands={"cmd_1": "date"}) == ["Cleanup ended date of alice"]


@pytest.mark.parametrize(
    ("by", "status", "said"),
    [
        (ALICE, "timed_out", "alice ran sleep 30 in sandbox quiet-otter until its time limit"),
        (ALICE, "failed", "alice could not run sleep 30 in sandbox quiet-otter to its end"),
        (
            replace(audit.CLEANUP, on_behalf="alice"),
            "failed",
            "Cleanup (for alice) ended sleep 30 in sandbox quiet-otter",
        ),
    ],
)
def test_trail_tells_what_became_of_a_command(running, by, status, said):
    detail = {"argv": ["sh", "-c", "sleep 30"], "status": status}
    event = audit.record("command.run", by, running, outcome=Outcome.FAILED, detail=detail)
    assert event_words.sentence(event) == said


def test_a_word_nobody_thought_of_is_still_a_sentence():
    event = Event(action="sandbox.renamed_it", outcome="ok", actor_name="alice", at=timezone.now())
    assert timeline([event])[0].text == "renamed it"


@pytest.mark.parametrize("outcome", Outcome.values)
def test_every_event_there_can_be_is_told_in_words(outcome):
    for action in event_words.words():
        event = Event(action=action, outcome=outcome, actor_name="alice", at=timezone.now(),
                      target_name="Ada", operation=action,
                      detail={"terminal": "main", "command": "cmd_1"})  # fmt: skip
        (line,) = timeline([event], {"cmd_1": "ls"})
        said = f"{line.who} {line.before} {line.code}{line.after}"
        assert action not in said
        assert "{" not in said
        assert len(said.split()) >= 2, action


@pytest.mark.parametrize("detail", [[], "text", None, {"command": 5}])
def test_junk_in_detail_breaks_nothing(detail, told):
    assert told(("command.run", "ok", {"detail": detail}))


def test_several_results_become_one_sentence():
    done, busy = Result(True, False, "a is paused."), Result(False, True, "Pausing b…", "info")
    refused = Result(False, False, "c is stopped.", "warning")
    assert together("pause", []) == ("warning", "Nothing was selected. Tick the sandboxes first.")
    assert together("pause", [done]) == ("success", "a is paused.")
    assert together("pause", [done, done, done]) == ("success", "3 paused.")
    assert together("pause", [done, busy]) == ("info", "1 paused, 1 is being paused.")
    assert together("remove", [busy, busy, busy]) == ("info", "3 are being removed.")
    assert together("extend", [done, done]) == ("success", "2 given more time.")
    assert together("pause", [done, refused]) == ("warning", "1 paused, 1 not: c is stopped.")
    assert together("pause", [refused, refused]) == ("warning", "2 not paused: c is stopped.")
