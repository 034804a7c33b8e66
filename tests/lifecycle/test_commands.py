"""Commands: byte-exact, capped with the gap marked, ended when they are to end, always with a reason."""

import threading
from contextlib import suppress

import pytest
from django.db import OperationalError

from sandboxes.engine.base import Conflict, EngineError, NotFound, Unreachable
from sandboxes.lifecycle import actions, audit, commands, execution
from sandboxes.models import Command, CommandStatus, Event, Sandbox
from tests.fakes.engine import Script
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import ALICE, change, moments_ago, trail

pytestmark = pytest.mark.django_db
FOREVER = Script((("stdout", b"begun\n"),), hold=None)


def ended(command, seconds=20.0):
    assert wait_until(lambda: not Command.objects.get(pk=command.pk).is_running, seconds)
    return Command.objects.get(pk=command.pk)


# -- what comes back ----------------------------------------------------------------------------


def test_both_streams_apart_and_the_exit_code(run):
    command = run("echo out; echo bad >&2; exit 3")
    assert (command.status, command.exit_code) == (CommandStatus.EXITED, 3)
    assert (bytes(command.stdout), bytes(command.stderr)) == (b"out\n", b"bad\n")
    assert (command.stdout_bytes, command.stdout_head) == (4, 0)
    assert command.duration is not None


def test_who_ran_what_is_on_record_with_the_command_but_not_its_output(run, running, alice):
    command = run("echo canary-77f; exit 0")
    assert command.by == alice
    assert trail(running)[-2:] == [("command.run", "requested", ""), ("command.run", "ok", "")]
    done = Event.objects.first()
    assert done.detail["argv"] == ["sh", "-c", "echo canary-77f; exit 0"]
    assert "stdout" not in done.detail
    assert done.duration is not None


def test_text_without_a_shell_is_split_into_words(run, engine):
    run("echo 'a b' c", shell=False)
    assert engine.calls[-1] == ("exec", (Sandbox.objects.get().native_id, ("echo", "a b", "c")))


def test_words_are_passed_as_they_are(run):
    assert bytes(run(["echo", "a", "$HOME"]).stdout) == b"a $HOME\n"


def test_the_image_s_shell_is_used(run, running, engine):
    change(running, shell="bash")
    engine.scripts[("bash",)] = Script()
    assert run("true").argv == ["bash", "-c", "true"]


def test_its_shell_stays_until_its_last_program_ended(run, running, engine):
    command = run("echo on")
    assert engine.calls[-1] == ("exec", (running.native_id, ("sh", "-c", "trap : EXIT; echo on")))
    assert (command.argv, bytes(command.stdout)) == (["sh", "-c", "echo on"], b"on\n")


@pytest.mark.parametrize("argv", [["echo", "-c"], ["fish", "-c", "true"], ["sh", "-lc", "true"], ["sh"]])
def test_what_is_no_line_for_a_known_shell_is_left_alone(argv):
    assert execution.held(argv) == argv


def test_it_runs_marked(run, engine, running):
    command = run("true")
    assert engine.containers[running.native_id].processes[-1].marker == command.marker


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, ""),
        (3, ""),
        (126, "the program could not be run"),
        (127, "the program was not found"),
        (137, "ended by signal KILL"),
        (139, "ended by signal SEGV"),
        (250, ""),
    ],
)
def test_exit_codes_are_explained_where_they_mean_something(run, engine, code, reason):
    engine.scripts[("sh",)] = Script(code=code)
    command = run("x")
    assert (command.status, command.exit_code, command.reason) == (CommandStatus.EXITED, code, reason)


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (-60, "out of memory: it was ended at its 512 MB limit"),
        (3, "out of memory: it was ended at its 512 MB limit"),  # it was killed before its start was written
        (60, "ended by signal KILL"),
    ],
)
def test_a_command_killed_for_memory_says_so(run, engine, running, seconds, reason):
    engine.scripts[("sh",)] = Script(code=137)
    audit.record("sandbox.oom", audit.ENGINE, running, at=moments_ago(seconds=seconds))
    assert run("x").reason == reason


def test_the_kernel_s_word_may_come_after_the_end(run, engine, running):
    engine.scripts[("sh",)] = Script(code=137)
    command, other = run("x"), run(["true"])
    commands.note_out_of_memory(running, moments_ago())
    command.refresh_from_db()
    other.refresh_from_db()
    assert command.reason.startswith("out of memory")
    assert other.reason == ""


def test_output_is_handed_on_while_it_runs(run, monkeypatch):
    seen = []
    monkeypatch.setattr("sandboxes.live.output.publish", lambda *args: seen.append(args))
    monkeypatch.setattr("sandboxes.live.output.finished", lambda *args: seen.append(args))
    command = run("echo a; echo b >&2")
    pk, sandbox = command.pk, command.sandbox_id
    assert seen == [(pk, sandbox, "stdout", b"a\n"), (pk, sandbox, "stderr", b"b\n"), (pk, sandbox)]


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "options", "field"),
    [
        ("", {}, "command"),
        ("  \n", {}, "command"),
        ([], {}, "command"),
        ("''", {"shell": False}, "command"),
        ("echo 'x", {"shell": False}, "command"),
        ("a\0b", {}, "command"),
        (["echo", "a\0b"], {}, "command"),
        ("\ud800", {}, "command"),
        ("x" * 5000, {}, "command"),
        (["x"] * 300, {}, "command"),
        ("true", {"time_limit": 0}, "time_limit"),
        ("true", {"time_limit": -1}, "time_limit"),
        ("true", {"time_limit": "soon"}, "time_limit"),
        ("true", {"time_limit": 10**9}, "time_limit"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_on_record_and_runs_nothing(run, engine, given, options, field):
    engine.calls.clear()
    with pytest.raises(actions.Refused) as caught:
        run(given, **options)
    assert caught.value.field == field
    assert not Command.objects.exists()
    assert not engine.calls
    assert trail()[-1] == ("command.run", "refused", str(caught.value))


def test_in_a_paused_sandbox_resuming_is_offered(paused, alice):
    with pytest.raises(actions.Refused, match="Resume it first") as caught:
        commands.run(paused, "true", origin=ALICE, user=alice)
    assert caught.value.offer == "resume"


def test_in_a_stopped_sandbox_starting_is_offered(stopped, alice):
    with pytest.raises(actions.Refused, match="Start it first") as caught:
        commands.run(stopped, "true", origin=ALICE, user=alice)
    assert caught.value.offer == "start"


def test_nothing_runs_in_one_that_is_being_removed(running, run):
    change(running, pending="remove")
    with pytest.raises(actions.Refused, match="busy removing"):
        run("true")


@pytest.mark.parametrize(
    "error", [Conflict("The sandbox is paused."), NotFound("It is gone."), EngineError("No.")]
)
def test_an_engine_that_refuses_is_a_reason(run, engine, error):
    engine.fail["exec"] = error
    command = run("true")
    assert (command.status, command.reason) == (CommandStatus.FAILED, str(error))


# -- its end ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_time_limit_ends_the_process_itself(pool, running, run, engine):
    engine.scripts[("sh",)] = FOREVER
    command = ended(run("x", time_limit=1))
    assert (command.status, command.reason) == (CommandStatus.TIMED_OUT, "ended at its time limit of 1 s")
    assert bytes(command.stdout) == b"begun\n"
    assert not engine.processes(running.native_id)


@pytest.mark.django_db(transaction=True)
def test_a_process_that_cannot_be_ended_is_said_to_be_left(pool, run, engine, monkeypatch, running):
    monkeypatch.setattr(execution, "PATIENCE", 0.2)
    monkeypatch.setattr(execution, "LET_GO", 0.1)
    engine.scripts[("sh",)] = FOREVER
    command = run("x", time_limit=1, wait=0)
    engine.stubborn.add(command.marker)
    assert wait_until(lambda: [one for one in engine.processes(running.native_id) if one.closed])
    engine.processes(running.native_id)[-1].finish(0)
    command = ended(command)
    assert command.reason == "ended at its time limit of 1 s; some of its processes could not be ended"


@pytest.mark.django_db(transaction=True)
def test_cancelling_ends_the_process_and_says_who_did(pool, running, run, engine, prof):
    engine.scripts[("sh",)] = FOREVER
    command = run("x", wait=0)
    assert wait_until(lambda: engine.processes(running.native_id))
    assert commands.cancel(command, audit.Origin.of(prof))
    command = ended(command)
    assert (command.status, command.reason) == (CommandStatus.CANCELLED, "cancelled by prof")
    assert ("command.cancel", "ok", "") in trail()
    assert not commands.cancel(command, audit.Origin.of(prof)), "it has ended already"


@pytest.mark.django_db(transaction=True)
def test_one_that_waits_for_a_thread_is_cancelled_before_it_begins(pool, running, run, engine, settings):
    settings.SANDBOX_COMMAND_WORKERS = 1
    engine.scripts[("sh",)] = FOREVER
    first, second = run("x", wait=0), run("x", wait=0)
    assert wait_until(lambda: engine.processes(running.native_id))
    commands.cancel(second, ALICE)
    commands.cancel(first, ALICE)
    assert ended(second).reason == "cancelled before it began"


def test_cancelled_between_its_making_and_its_start_it_is_ended_at_once(run, engine, monkeypatch):
    engine.scripts[("sh",)] = FOREVER
    real = engine.exec

    def exec(native_id, argv, **options):
        made = real(native_id, argv, **options)
        Command.objects.update(cancelled_by="alice")
        return made

    monkeypatch.setattr(engine, "exec", exec)
    assert run("x").status == CommandStatus.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_while_paused_nothing_is_ended_and_after_it_is(pool, running, run, engine, monkeypatch):
    monkeypatch.setattr(execution, "PAUSED_AGAIN", 0.05)
    engine.scripts[("sh",)] = FOREVER
    command = run("x", time_limit=1, wait=0)
    assert wait_until(lambda: engine.processes(running.native_id))
    actions.pause(running, by=ALICE, wait=None)
    assert not commands.cancel(command, ALICE)
    assert Command.objects.get(pk=command.pk).is_running
    actions.resume(running, by=ALICE, wait=None)
    assert ended(command).status == CommandStatus.CANCELLED


@pytest.mark.django_db(transaction=True)
def test_a_command_ends_with_its_sandbox_and_says_so(pool, running, run, engine):
    engine.scripts[("sh",)] = FOREVER
    command = run("x", wait=0)
    assert wait_until(lambda: engine.processes(running.native_id))
    actions.stop(running, by=ALICE, wait=None)
    assert ended(command).reason.startswith("ended with its sandbox: ")


def test_a_stream_that_breaks_leaves_the_end_to_the_loop(run, engine, running, monkeypatch):
    real = engine.exec

    def broken(*args, **options):
        made = real(*args, **options)

        def chunks():
            yield "stdout", b"some"
            raise Unreachable("The stream broke.")

        monkeypatch.setattr(type(made), "__iter__", lambda self: chunks())
        return made

    monkeypatch.setattr(engine, "exec", broken)
    command = run("x")
    assert command.is_running
    assert command.reason == execution.NOT_ANSWERING
    assert bytes(command.stdout) == b"some"
    assert [one.result() for one in commands.reap({"me"})] == [True]
    command.refresh_from_db()
    assert (command.status, command.reason) == (
        CommandStatus.FAILED,
        "what ran it was interrupted, so it was ended",
    )
    told = Event.objects.get(action="command.run", actor_kind="cleanup")
    assert told.on_behalf == command.by_name
    assert bytes(command.stdout) == b"some"


@pytest.mark.django_db(transaction=True)
def test_when_this_process_ends_its_commands_do_and_say_so(pool, running, run, engine, settings, monkeypatch):
    monkeypatch.setattr(execution, "_closing", threading.Event())
    settings.SANDBOX_COMMAND_WORKERS = 1
    engine.scripts[("sh",)] = FOREVER
    first, second = run("x", wait=0), run("x", wait=0)
    assert wait_until(lambda: engine.processes(running.native_id))
    execution.end_all()
    for command in (first, second):
        assert (ended(command).status, ended(command).reason) == (CommandStatus.FAILED, execution.STOPPED)
    assert not engine.processes(running.native_id)


def test_the_same_again_is_a_new_command(run, bob):
    first = run("echo a", time_limit=7)
    again = commands.rerun(first, origin=audit.Origin.of(bob), user=bob)
    assert again.pk != first.pk
    assert (again.text, again.argv, again.time_limit, again.by_name) == ("echo a", first.argv, 7, "bob")
    assert again.marker != first.marker


@pytest.mark.django_db(transaction=True)
def test_many_at_once_all_end(pool, run):
    made = [run(f"echo {number}", wait=0) for number in range(30)]
    assert [bytes(ended(command).stdout) for command in made] == [b"%d\n" % number for number in range(30)]
    assert threading.active_count() < 60


# -- the database is away for a moment ------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_its_end_is_on_record_though_the_database_was_away_just_then(run, running, monkeypatch):
    real, calls = execution.note, []

    def away(*args, **facts):
        calls.append(args)
        if 2 <= len(calls) <= 4:
            raise OperationalError("the connection is lost")
        return real(*args, **facts)

    monkeypatch.setattr(execution, "note", away)
    with suppress(OperationalError):
        run("exit 0")
    command = Command.objects.get()
    assert (command.status, command.exit_code) == (CommandStatus.EXITED, 0)
    assert Event.objects.filter(operation=command.pk).exclude(outcome="requested").count() == 1
