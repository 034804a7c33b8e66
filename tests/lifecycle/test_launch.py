"""From a wish to a running sandbox, or to a reason and what to do; never to a container left over."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import (
    Conflict,
    EngineError,
    ImageMissing,
    Mismatch,
    NoCapacity,
    PullProgress,
    TimedOut,
    Unreachable,
)
from sandboxes.lifecycle import actions, steps
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Event, Image, Outcome, Sandbox, Status
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import ALICE, Crash, answered, change, container_status, crash, trail

pytestmark = pytest.mark.django_db


@pytest.fixture
def node(db):
    return Image.objects.create(reference="node:20-alpine", title="Node.js 20")


def test_a_launch_runs_with_the_image_s_own_limits(launch, engine, image):
    sandbox = launch()
    (one,) = engine.containers.values()
    assert sandbox.status == Status.RUNNING
    assert sandbox.native_id == one.state.native_id
    assert (one.spec.memory, one.spec.cpus, one.spec.pids) == (512 << 20, 1.0, 256)
    assert (sandbox.generation, sandbox.launch_step, sandbox.shell) == (1, "", "sh")


def test_what_is_asked_for_reaches_the_engine(launch, engine):
    launch(name=" web ", memory="64m", cpus="0.5", pids="32", lifetime="15 min", network="internet",
           workdir="/srv//app/", environment="A=1\nB=x=y\n")  # fmt: skip
    (spec,) = (one.spec for one in engine.containers.values())
    assert (spec.memory, spec.cpus, spec.pids, spec.network) == (64 << 20, 0.5, 32, "internet")
    assert (spec.workdir, spec.environment) == ("/srv/app", {"A": "1", "B": "x=y"})
    sandbox = Sandbox.objects.get()
    assert (sandbox.name, sandbox.lifetime) == ("web", 900)


def test_an_empty_name_becomes_a_readable_one(launch):
    first, last = launch(name="  ").name.split("-")
    assert first.isalpha()
    assert last.isalpha()


def test_its_end_counts_from_when_it_runs(launch):
    sandbox = launch(lifetime=600)
    assert sandbox.expires_at == sandbox.started_at + timedelta(seconds=600)


def test_the_request_and_its_outcome_are_on_record_without_values(launch):
    sandbox = launch(environment={"TOKEN": "canary-91b"})
    assert [(action, outcome) for action, outcome, _ in trail(sandbox)] == [
        ("sandbox.launch", "requested"),
        ("sandbox.launch", "ok"),
    ]
    asked = Event.objects.get(outcome=Outcome.REQUESTED)
    assert (asked.actor_name, asked.address) == ("alice", "192.0.2.1")
    assert asked.detail["environment"] == ["TOKEN"]
    assert not any("canary" in str(event.__dict__) for event in Event.objects.all())


def test_asked_again_though_there_is_no_room_any_more(launch, settings):
    """It is the first sandbox that is asked for, and nothing was refused."""
    settings.SANDBOX_QUOTA_SANDBOXES = 1
    first = launch(launch_key="once")
    assert launch(launch_key="once").pk == first.pk
    assert not Event.objects.filter(outcome=Outcome.REFUSED).exists()
    with pytest.raises(Refused):
        launch(launch_key="twice")


def test_the_same_launch_key_is_the_same_sandbox(launch, bob, engine):
    first = launch(launch_key="k" * 200)
    assert launch(launch_key="k" * 200).pk == first.pk
    assert launch(owner=bob, launch_key="k" * 200).pk != first.pk
    assert launch().pk != launch().pk
    assert len(engine.containers) == 4


BAD = [
    ("image", {"chosen": None}),
    ("image", {"chosen": "nobody/knows:it"}),
    ("image", {"chosen": "a\0b"}),
    ("memory", {"memory": "5m"}),
    ("memory", {"memory": "3g"}),
    ("memory", {"memory": -1}),
    ("memory", {"memory": "lots"}),
    ("memory", {"memory": "9" * 400}),
    ("cpus", {"cpus": 0}),
    ("cpus", {"cpus": "0.001"}),
    ("cpus", {"cpus": 5}),
    ("cpus", {"cpus": "NaN"}),
    ("cpus", {"cpus": "inf"}),
    ("cpus", {"cpus": "one"}),
    ("cpus", {"cpus": "1e400"}),
    ("pids", {"pids": 0}),
    ("pids", {"pids": -2}),
    ("pids", {"pids": 100_000}),
    ("pids", {"pids": "many"}),
    ("lifetime", {"lifetime": 0}),
    ("lifetime", {"lifetime": -5}),
    ("lifetime", {"lifetime": 10**12}),
    ("lifetime", {"lifetime": "for ever"}),
    ("network", {"network": "host"}),
    ("environment", {"environment": "NOVALUE"}),
    ("environment", {"environment": "=x"}),
    ("environment", {"environment": {"A": "x\ny"}}),
    ("environment", {"environment": {"A": "x\0"}}),
    ("environment", {"environment": {"A": 5}}),
    ("environment", {"environment": {"A B": "x"}}),
    ("environment", {"environment": {"SANDBOX_MARKER": "x"}}),
    ("environment", {"environment": "A=1\nA=2"}),
    ("environment", {"environment": {f"V{number}": "" for number in range(1000)}}),
    ("environment", {"environment": {"A": "x" * 40_000}}),
    ("environment", {"environment": {"A": "\ud800"}}),
    ("workdir", {"workdir": "workspace"}),
    ("workdir", {"workdir": "/proc/self/fd/7"}),
    ("workdir", {"workdir": "/workspace/../proc"}),
    ("workdir", {"workdir": "//sys"}),
    ("workdir", {"workdir": "/dev"}),
    ("workdir", {"workdir": "/a\nb"}),
    ("workdir", {"workdir": "/" + "x" * 300}),
    ("name", {"name": "x" * 5000}),
    ("name", {"name": "a\x1b[31m"}),
    ("name", {"name": "a\u202eb"}),
    ("name", {"name": "a\u200bb"}),
    ("name", {"name": "a\ud800"}),
]


@pytest.mark.parametrize(("field", "wish"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_on_record_and_makes_nothing(launch, engine, field, wish):
    with pytest.raises(actions.Refused) as caught:
        launch(**wish)
    assert caught.value.field == field
    assert str(caught.value).endswith(".")
    assert not Sandbox.objects.exists()
    assert not engine.containers
    (event,) = Event.objects.all()
    assert (event.outcome, event.detail["field"], event.reason) == ("refused", field, str(caught.value)[:300])


def test_a_disabled_image_is_refused(launch, image, engine):
    Image.objects.update(enabled=False)
    with pytest.raises(actions.Refused, match="not offered"):
        launch()
    assert not engine.containers


def test_memory_above_what_is_left_of_the_quota_is_refused(launch, alice):
    alice.quota_memory = 600 << 20
    alice.save()
    launch(memory="512m")
    with pytest.raises(actions.Refused, match="is more than is left: 88 MB") as caught:
        launch(memory="128m")
    assert caught.value.field == "memory"


def test_a_full_house_is_refused_and_a_removal_makes_room(launch, alice):
    alice.quota_sandboxes = 1
    alice.save()
    first = launch()
    with pytest.raises(actions.Refused, match="You have 1 of 1"):
        launch()
    actions.remove(first, by=ALICE, wait=None)
    assert launch().status == Status.RUNNING


def test_a_failed_one_takes_no_place_until_it_is_started_again(launch, alice, engine):
    alice.quota_sandboxes = 1
    alice.save()
    engine.fail["start"] = EngineError("It would not start.")
    failed = launch()
    del engine.fail["start"]
    launch()
    result = actions.start(failed, by=ALICE, wait=None)
    assert (result.level, failed.status) == ("warning", Status.FAILED)
    assert trail(failed)[-1][1] == Outcome.REFUSED


ERRORS = [
    Conflict("A container of that name exists, and it is not ours.", "engine text"),
    NoCapacity("The host's disk is full.", "no space left on device /var/lib/docker"),
    Mismatch("The engine made a container that differs from what was asked.", "Memory"),
    EngineError("The engine failed to do this.", "500: /var/lib/docker/x"),
]


@pytest.mark.parametrize("call", ["create", "start"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_engine_that_refuses_makes_it_failed_with_a_reason(launch, engine, call, error):
    engine.fail[call] = error
    sandbox = launch()
    assert sandbox.status == Status.FAILED
    assert sandbox.status_reason.startswith(str(error))
    assert len(sandbox.status_reason) > len(str(error)) + 10, "and what to do"
    assert error.detail not in sandbox.status_reason
    assert sandbox.status_detail == error.detail
    assert not engine.containers
    assert answered(sandbox)
    assert not any(error.detail in str(event.__dict__) for event in Event.objects.all())


@pytest.mark.parametrize("call", ["create", "start"])
@pytest.mark.parametrize("error", [Unreachable("gone"), TimedOut("slow")], ids=["unreachable", "timed out"])
def test_an_engine_that_is_away_leaves_it_waiting(launch, engine, call, error):
    engine.fail[call] = error
    sandbox = launch()
    assert (sandbox.status, sandbox.pending) == (Status.QUEUED, "")
    assert sandbox.status_reason == "waiting for the engine"
    assert trail(sandbox)[-1][1] == Outcome.FAILED
    assert answered(sandbox)


def test_what_never_ran_is_removed_even_while_the_engine_is_away(launch, engine):
    engine.away = Unreachable("away")
    sandbox = launch()
    assert actions.remove(sandbox, by=ALICE, wait=None).done
    assert sandbox.status == Status.REMOVED


def test_a_start_that_fails_removes_what_was_made_in_the_same_path(launch, engine):
    engine.fail["start"] = EngineError("no")
    launch()
    assert [name for name, _ in engine.calls][-3:] == ["create", "start", "remove"]


def test_a_failed_launch_is_started_anew_with_a_whole_lifetime(launch, engine):
    engine.fail["create"] = EngineError("no")
    sandbox = launch()
    change(sandbox, expires_at=timezone.now() + timedelta(seconds=5))
    del engine.fail["create"]
    assert actions.start(sandbox, by=ALICE, wait=None).done
    assert sandbox.status == Status.RUNNING
    assert (sandbox.expires_at - timezone.now()).total_seconds() > 3000
    assert sandbox.status_reason == ""


def test_a_missing_image_is_pulled_first(launch, engine, node):
    engine.pulls["node:20-alpine"] = [PullProgress(5, 10, {"a": ("Downloading", 5, 10)})]
    sandbox = launch(chosen=node)
    node.refresh_from_db()
    assert sandbox.status == Status.RUNNING
    assert (node.is_here, node.is_pulling, node.pull_error) == (True, False, "")
    pulls = [(action, outcome) for action, outcome, _ in trail() if action == "image.pull"]
    assert pulls == [("image.pull", "requested"), ("image.pull", "ok")]


def test_an_image_that_cannot_be_pulled_is_a_reason(launch, engine, node):
    sandbox = launch(chosen=node)
    node.refresh_from_db()
    assert sandbox.status == Status.FAILED
    assert sandbox.status_reason.startswith("The registry cannot be reached")
    assert "another image" in sandbox.status_reason
    assert node.pull_error.startswith("The registry cannot be reached")
    assert not node.is_pulling
    assert not engine.containers


def test_a_pull_that_stalls_is_a_failure_and_not_the_engine_s_absence(launch, engine, node):
    engine.fail["pull"] = TimedOut("The download stood still for 60 s.")
    assert launch(chosen=node).status == Status.FAILED


def test_an_engine_that_goes_away_during_a_pull_leaves_it_waiting(launch, engine, node):
    engine.fail["pull"] = Unreachable("away")
    assert launch(chosen=node).status_reason == "waiting for the engine"


def test_an_image_that_is_gone_again_after_the_pull_is_not_pulled_for_ever(launch, engine, node):
    engine.pulls["node:20-alpine"] = []
    engine.fail["create"] = ImageMissing("The image is not present on the host.")
    assert launch(chosen=node).status == Status.FAILED
    assert [name for name, _ in engine.calls].count("pull") == 1


@pytest.mark.django_db(transaction=True)
def test_one_pull_serves_all_who_wait_and_no_thread_waits(pool, settings, launch, engine, node):
    settings.SANDBOX_WORKERS = 2
    engine.pulls["node:20-alpine"] = []
    engine.gate["pull"] = threading.Event()
    waiting = [launch(chosen=node) for _ in range(5)]
    assert wait_until(lambda: Sandbox.objects.filter(launch_step="pulling").count() == 5)
    starter = Image.objects.get(title="Starter")
    other = launch(chosen=starter)
    assert wait_until(lambda: Sandbox.objects.get(pk=other.pk).status == Status.RUNNING)
    engine.gate["pull"].set()
    ids = [sandbox.pk for sandbox in waiting]
    assert wait_until(lambda: Sandbox.objects.filter(pk__in=ids, status=Status.RUNNING).count() == 5)
    assert [name for name, _ in engine.calls].count("pull") == 1


@pytest.mark.django_db(transaction=True)
def test_a_removal_during_a_pull_launches_nothing(pool, launch, engine, node):
    engine.pulls["node:20-alpine"] = []
    engine.gate["pull"] = threading.Event()
    sandbox = launch(chosen=node)
    assert wait_until(lambda: Sandbox.objects.get(pk=sandbox.pk).launch_step == "pulling")
    actions.remove(sandbox, by=ALICE, wait=5)
    engine.gate["pull"].set()
    assert wait_until(lambda: not Image.objects.get(pk=node.pk).is_pulling)
    assert not engine.containers
    assert sandbox.status == Status.REMOVED


def test_progress_keeps_the_waiting_launch_fresh(launch, engine, node, monkeypatch):
    monkeypatch.setattr("sandboxes.lifecycle.images.PROGRESS_EVERY", 0)
    seen = []

    def pull(reference, progress):
        before = Sandbox.objects.get().pending_since
        progress(PullProgress(1, 2, {"a": ("Downloading", 1, 2)}))
        seen.append(
            (Sandbox.objects.get().pending_since > before, Image.objects.get(pk=node.pk).pull_progress)
        )
        engine.local[reference] = engine.local["sandboxes/starter:latest"]

    monkeypatch.setattr(engine, "pull", pull)
    assert launch(chosen=node).status == Status.RUNNING
    assert seen == [(True, {"done": 1, "wanted": 2, "layers": {"a": ["Downloading", 1, 2]}})]


def test_a_fault_of_ours_is_not_left_claimed(launch, engine, monkeypatch):
    monkeypatch.setattr(steps, "spec_of", lambda sandbox: 1 / 0)
    sandbox = launch()
    assert (sandbox.status, sandbox.pending) == (Status.FAILED, "")
    assert sandbox.status_reason.startswith("Something went wrong in Sandboxes itself.")


def test_a_crash_is_nobody_s_to_tidy_up(launch, engine):
    crash(engine, "create")
    with pytest.raises(Crash):
        launch()
    sandbox = Sandbox.objects.get()
    assert (sandbox.status, sandbox.pending, sandbox.native_id) == (Status.QUEUED, "launch", "")
    assert container_status(engine, sandbox) is not None
