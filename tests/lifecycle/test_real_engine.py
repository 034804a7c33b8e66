"""The walk of a sandbox on the real engine: its life, other hands, limits that hold, and kill -9."""

import os
import signal
import subprocess
import sys
import time

import pytest
from django.conf import settings as project
from django.db import connection

from sandboxes.engine.base import ContainerSpec, ContainerStatus, NotFound
from sandboxes.lifecycle import actions, audit, cleanup, commands, disk, invariants
from sandboxes.models import Command, CommandStatus, Event, Lease, Sandbox, Status
from tests import recording
from tests.fakes.engine import STARTER
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import ALICE, answered, overdue, trail

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def small(pool, launch):
    """A small running sandbox."""
    sandbox = launch(name="quiet-otter", memory="32m", pids=64)
    return came_to(sandbox, Status.RUNNING)


def came_to(sandbox, status, seconds=15):
    assert wait_until(lambda: _is(sandbox, status), seconds), (sandbox.status, sandbox.status_reason)
    return sandbox


def _is(sandbox, status):
    sandbox.refresh_from_db()
    return sandbox.status == status and not sandbox.pending


def programs(sandbox):
    with recording.by_hand() as api:
        return [" ".join(row[-1:]) for row in api.top(sandbox.native_id)["Processes"]]


def lines(sandbox, action):
    return [line for line in trail(sandbox) if line[0] == action]


def test_from_launch_to_a_removal_by_hand(small, events, engine, by_hand):
    command = commands.run(small, "echo out; echo bad >&2; id -u; exit 3", origin=ALICE, wait=10)
    assert (bytes(command.stdout), bytes(command.stderr), command.exit_code) == (b"out\n1000\n", b"bad\n", 3)
    assert actions.pause(small, by=ALICE, wait=None).done
    assert engine.inspect(small.native_id).status is ContainerStatus.PAUSED
    with pytest.raises(actions.Refused, match="Resume it first"):
        commands.run(small, "true", origin=ALICE)
    by_hand("remove_container", small, force=True)
    came_to(small, Status.REMOVED, 2)
    assert small.status_reason == "removed outside Sandboxes"
    assert len(lines(small, "engine.remove")) == 1
    assert answered(small)


def test_every_action_and_none_of_them_taken_for_another_hand_s(small, events, engine):
    walk = "pause paused resume running restart running stop stopped start running pause paused stop stopped"
    steps = [*walk.split(), "remove", "removed"]
    for action, status in zip(steps[::2], steps[1::2], strict=True):
        result = actions.act(small, action, ALICE, wait=None)
        assert (result.done, small.status) == (True, status), result
    time.sleep(0.7)
    assert not Event.objects.filter(actor_kind="engine").exists(), trail(small)
    with pytest.raises(NotFound):
        engine.inspect(small.native_id)
    assert answered(small)


def test_what_other_hands_do_is_noticed_within_a_second_and_on_record_once(small, events, engine, by_hand):
    time.sleep(0.6)
    by_hand("pause", small)
    came_to(small, Status.PAUSED, 1)
    by_hand("unpause", small)
    came_to(small, Status.RUNNING, 1)
    by_hand("rename", small, name=f"by-hand-{small.pk}")
    by_hand("stop", small, timeout=1)
    came_to(small, Status.STOPPED, 3)
    assert (small.status_reason, small.exit_code) == ("stopped outside Sandboxes", 143)
    by_hand("start", small)
    came_to(small, Status.RUNNING, 1)
    for action in ("engine.pause", "engine.resume", "engine.rename", "engine.exit", "engine.start"):
        assert len(lines(small, action)) == 1, trail(small)
    assert cleanup.run_round().counts.total() == 0


def test_an_exec_by_hand_is_told_from_ours(small, events, engine, by_hand):
    command = commands.run(small, "sleep 30", origin=ALICE, wait=0)
    assert wait_until(lambda: Command.objects.get(pk=command.pk).started_at)
    commands.cancel(command, ALICE)
    with recording.by_hand() as api:
        api.exec_start(by_hand("exec_create", small, cmd=["sh", "-c", "echo canary-31d"]))
    assert wait_until(lambda: lines(small, "engine.exec"))
    (event,) = Event.objects.filter(action="engine.exec")
    assert event.detail == {"program": "sh"}
    assert not any("canary" in str(one.__dict__) for one in Event.objects.all())


def test_a_time_limit_ends_the_process_and_its_children(small, engine):
    text = "sleep 301 & sh -c 'trap \"\" HUP TERM; sleep 302; sleep 303' & sleep 304"
    command = commands.run(small, text, origin=ALICE, time_limit=1, wait=15)
    assert (command.status, command.reason) == (CommandStatus.TIMED_OUT, "ended at its time limit of 1 s")
    assert not [one for one in programs(small) if "sleep 30" in one]


@pytest.mark.parametrize(
    "text", ["env -i setsid sleep 305", "exec env -i sleep 305", "env -i sleep 305 & wait"]
)
def test_a_time_limit_ends_what_clears_its_environment(small, engine, text):
    command = commands.run(small, text, origin=ALICE, time_limit=1, wait=20)
    assert (command.status, command.reason) == (CommandStatus.TIMED_OUT, "ended at its time limit of 1 s")
    assert not [one for one in programs(small) if "sleep 305" in one]


@pytest.mark.parametrize("shell", [True, False])
def test_a_missing_program_was_not_found_with_a_shell_and_without(small, engine, shell):
    command = commands.run(small, "no-such-program", origin=ALICE, shell=shell, wait=10)
    assert (command.exit_code, command.reason) == (127, "the program was not found")
    command = commands.run(small, "/etc/passwd", origin=ALICE, shell=shell, wait=10)
    assert (command.exit_code, command.reason) == (126, "the program could not be run")


def test_ten_megabytes_are_counted_to_the_byte(small, engine):
    command = commands.run(small, "yes 0123456 | head -c 10000000", origin=ALICE, wait=30)
    assert (command.status, command.stdout_bytes) == (CommandStatus.EXITED, 10_000_000)
    half = project.SANDBOX_OUTPUT_CAP // 2
    assert bytes(command.stdout[:half]) == (b"0123456\n" * half)[:half]
    assert len(command.stdout) == 2 * half


def test_memory_that_runs_out_is_said_so(small, events, engine):
    command = commands.run(small, "tail /dev/zero", origin=ALICE, wait=20)
    assert wait_until(lambda: "out of memory" in Command.objects.get(pk=command.pk).reason)
    assert lines(small, "sandbox.oom")
    small.refresh_from_db()
    assert small.status == Status.RUNNING


def test_a_main_process_that_ends_takes_its_sandbox_along(pool, launch, events, engine, by_hand):
    sandbox = came_to(launch(auto_remove=True, memory="32m"), Status.RUNNING)
    time.sleep(0.6)
    by_hand("kill", sandbox)
    came_to(sandbox, Status.REMOVED, 5)
    assert (sandbox.status_reason, sandbox.exit_code) == ("stopped outside Sandboxes", 137)
    assert not engine.list()


def test_an_orphan_goes_and_what_is_over_goes(small, engine, settings):
    settings.SANDBOX_ORPHAN_GRACE = 0
    engine.create(ContainerSpec("sb_unknown", STARTER, 32 << 20, 1, 64))
    time.sleep(1.1)  # the engine lists whole seconds
    overdue(small)
    report = cleanup.run_round()
    assert (report.error, report.counts["orphans"], report.counts["expired"]) == ("", 1, 1)
    assert not engine.list()


def test_an_image_from_nowhere_is_a_reason(pool, launch, image, engine):
    image.reference = "registry.invalid/no/such:image"
    image.save()
    sandbox = came_to(launch(), Status.FAILED, 60)
    assert "another image" in sandbox.status_reason
    assert "invalid" not in sandbox.status_reason
    assert not engine.list()


def test_a_workdir_that_cannot_be_is_a_reason_without_host_paths(pool, launch, engine):
    sandbox = came_to(launch(workdir="/etc/passwd/x"), Status.FAILED)
    assert "/var/lib" not in sandbox.status_reason
    assert not engine.list()


# -- kill -9 ------------------------------------------------------------------------------------

PROCESS = """
import sandboxes.settings as settings
settings.DATABASES["default"]["NAME"] = {database!r}
settings.SANDBOX_INSTALL, settings.SANDBOX_LEASE, settings.SANDBOX_WORKERS = {install!r}, 1, 4
import django; django.setup()
from sandboxes.lifecycle import actions, audit
from sandboxes.models import Image, Sandbox, User
from sandboxes.engine import get_engine
engine = get_engine()
{before}
owner, image = User.objects.get(username="alice"), Image.objects.get()
origin = audit.Origin.of(owner)
print("ready", flush=True)
{body}
"""
HANG_AFTER_CREATE = """
import time
real = engine.create
def create(spec):
    real(spec)
    print("created", flush=True)
    time.sleep(60)
engine.create = create
"""
LAUNCH = """
actions.launch(owner, image, origin=origin, name="cut", memory="32m")
import time; time.sleep(60)
"""


def spawn(engine, body, before=""):
    text = PROCESS.format(
        database=str(connection.settings_dict["NAME"]), install=engine.install, before=before, body=body
    )
    env = os.environ | {"PYTHONPATH": str(project.BASE_DIR), "SANDBOX_DATA": str(project.DATA_DIR)}
    child = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, env=env, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


def kill(child):
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()


def test_a_process_that_ends_in_good_order_leaves_nothing_under_way(small, engine):
    body = """
from sandboxes.lifecycle import commands
commands.run(Sandbox.objects.get(), "sleep 306", origin=origin, wait=0.5)
"""
    spawn(engine, body).wait(20)
    command = Command.objects.get()
    assert (command.status, command.reason) == (CommandStatus.FAILED, "ended, because Sandboxes was stopped")
    assert not [one for one in programs(small) if "sleep 306" in one]
    body = "actions.stop(Sandbox.objects.get(), by=origin, wait=0)"
    spawn(engine, body).wait(20)
    assert _is(small, Status.STOPPED)


def lease_over():
    assert wait_until(lambda: not _alive(), 10)


def _alive():
    from django.utils import timezone

    return Lease.objects.filter(name__startswith="process:", until__gt=timezone.now()).exists()


def test_a_process_killed_in_mid_launch_is_finished_by_one_round(pool, alice, image, engine):
    child = spawn(engine, LAUNCH, HANG_AFTER_CREATE)
    assert child.stdout.readline() == "created\n"
    kill(child)
    sandbox = Sandbox.objects.get()
    assert (sandbox.status, sandbox.pending, sandbox.native_id) == (Status.QUEUED, "launch", "")
    lease_over()
    assert cleanup.run_round().counts["redone"] == 1
    came_to(sandbox, Status.RUNNING)
    (state,) = engine.list()
    assert (state.native_id, state.status) == (sandbox.native_id, ContainerStatus.RUNNING)
    assert answered(sandbox)
    assert invariants.breaches(0.1) == []


def test_a_full_one_is_stopped_may_delete_and_may_not_grow(small, alice):
    """Two files, for no single one may be larger than the limit."""
    write = "for f in {0}; do dd if=/dev/zero of=/workspace/$f bs=1M count=4; done 2> /dev/null"
    Sandbox.objects.filter(pk=small.pk).update(disk=6 << 20)
    commands.run(small, write.format("a b"), origin=ALICE, wait=10)
    assert disk.watch() == 1
    came_to(small, Status.STOPPED)
    assert small.disk_used >= 8 << 20
    assert not actions.restart(small, by=ALICE, wait=None).done
    assert actions.start(small, by=audit.Origin.of(alice), wait=None).done
    assert disk.watch() == 0
    commands.run(small, write.format("c"), origin=ALICE, wait=10)
    assert disk.watch() == 1
    came_to(small, Status.STOPPED)
    refused = actions.start(small, by=audit.Origin.of(alice), wait=None)
    assert "cannot start it again" in refused.message
    assert actions.start(small, by=audit.SYSTEM, wait=None).done
    commands.run(small, "rm /workspace/a /workspace/b /workspace/c", origin=ALICE, wait=10)
    assert disk.watch() == 0
    came_to(small, Status.RUNNING)
    assert small.disk_used < 6 << 20
