"""What the engine says, in our words."""

from __future__ import annotations

import pytest

from sandboxes.engine.base import (
    Conflict,
    ContainerStatus,
    EngineError,
    ImageMissing,
    NoCapacity,
    NotFound,
    TimedOut,
    Unreachable,
)
from sandboxes.engine.translate import event, failure, listed, refusal, state

ID = "a" * 64


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, f"No such container: {ID}", NotFound),
        (404, "No such exec instance: x", NotFound),
        (404, "No such image: x:latest", ImageMissing),
        (400, "no such image: X: invalid reference format", ImageMissing),
        (404, "could not find an available, non-overlapping IPv4 address pool", NoCapacity),
        (403, "no available IPv4 addresses on this network's address pools: x", NoCapacity),
        (500, "mkdir /var/lib/docker/overlay2/x: no space left on device", NoCapacity),
        (409, f"Container {ID} is paused, unpause the container before exec", Conflict),
        (409, "cannot start a paused container, try unpause instead", Conflict),
        (409, f"Container {ID} is not running", Conflict),
        (500, f"Container {ID} is not paused", Conflict),
        (409, f"removal of container {ID} is already in progress", Conflict),
        (409, 'The container name "/x" is already in use by container "y".', Conflict),
        (500, f"Cannot pause container {ID}: cannot pause a stopped container: unknown", Conflict),
        (404, "network nosuch not found", EngineError),
        (400, "Minimum memory limit allowed is 6MB", EngineError),
        (500, "chdir to cwd (/home/x/overlay) set in config.json failed", EngineError),
        (500, "something that happened for the first time", EngineError),
        (403, "authorization denied by plugin", EngineError),
        (404, "process does not exist abc: not found", NotFound),
        (404, "page not found", EngineError),
        (502, "Bad Gateway", Unreachable),
        (503, "", Unreachable),
    ],
)
def test_each_refusal_has_its_kind(status: int, text: str, kind: type[EngineError]):
    error = refusal(status, text)
    assert type(error) is kind
    assert text in error.detail
    assert not text or text not in str(error)


def test_a_question_that_gets_a_500_got_no_answer():
    text = f"Container {ID} is not running"
    assert type(refusal(500, text, reading=True)) is Unreachable
    assert type(refusal(409, text, reading=True)) is Conflict
    assert type(refusal(404, "page not found", reading=True)) is Unreachable


def test_an_answer_that_is_no_json_is_no_engine_s():
    assert type(refusal(409, "<html>is paused</html>", is_json=False)) is Unreachable


def test_no_answer_concludes_nothing():
    assert type(failure(ConnectionRefusedError())) is Unreachable
    assert type(failure(TimeoutError())) is TimedOut
    assert type(failure(ValueError("no json"))) is Unreachable
    assert type(failure(KeyError("Id"))) is Unreachable


@pytest.mark.parametrize("word", ["created", "running", "paused", "exited", "removing", "dead"])
def test_every_status_is_known(word: str):
    now = {"Status": word, "ExitCode": 3, "OOMKilled": False, "StartedAt": "", "FinishedAt": ""}
    found = state({"Id": ID, "Created": "", "State": now, "Config": {"Labels": None}})
    assert found.status is ContainerStatus(word)
    assert found.exit_code == (3 if word in ("exited", "dead") else None)


def test_a_listed_container_knows_its_exit_code():
    entry = {"Id": ID, "State": "exited", "Status": "Exited (137) 2 hours ago", "Created": 1}
    assert listed(entry | {"Labels": {"sandboxes.id": "sb_x"}}).exit_code == 137
    assert listed(entry | {"State": "running", "Status": "Up 2 hours"}).exit_code is None


def test_an_event_shows_no_command_line():
    found = event(
        {
            "Type": "container",
            "Action": "exec_create: sh -c 'curl -H token:canary'",
            "Actor": {"ID": ID, "Attributes": {"sandboxes.id": "sb_x", "execID": "e", "name": "n"}},
            "time": 7,
            "timeNano": 7_500_000_001,
        }
    )
    assert found is not None
    assert (found.action, found.sandbox_id, found.attributes) == (
        *("exec_create", "sb_x"),
        {"execID": "e"},
    )
    assert found.at == pytest.approx(7.5)
    assert "canary" not in repr(found)


def test_an_event_about_something_else_is_none_of_ours():
    assert event({"Type": "network", "Action": "connect", "Actor": {"ID": "x"}, "time": 1}) is None
