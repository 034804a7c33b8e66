"""What the product asks of the engine is a closed list, and every container is the profile's."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from typing import Any

import pytest

from sandboxes.engine.base import EngineError
from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.engine.hardening import ImageFacts
from tests.browser.product import Product
from tests.fakes.processes import wait_until

from . import calls, private
from .classroom import ROUTES, Classroom
from .house import House
from .proxy import FINE, Call, Proxy
from .site import Shell, act, query, settled

pytestmark = pytest.mark.engine
WORDS = ("sneaky/../name", "LD_CANARY", "canary-value", "canary command")
"""What a person chose: a name, a variable and its value, a command."""
ODD = "sandboxes/odd:1"


@pytest.fixture(scope="module")
def asked(way: Proxy, room: Classroom, private_engine: private.PrivateEngine) -> list[Call]:
    """All that went along while everything was done once, and all that went before."""
    for route in ROUTES:
        room.ask(route)
    wishes(room.house)
    terminal(room.house)
    lab(room)
    by_its_own_words(way, private_engine)
    return list(way.calls)


def wishes(house: House) -> None:
    """Sandboxes with everything that may be chosen: strict, with internet, a folder, an environment."""
    page = house.alice.page("/sandboxes/new/")
    image = page.split('name="image" value="')[1].split('"')[0]
    usual = {"image": image, "memory": "64m", "pids": "77", "cpus": "0.5", "disk": "100m", "lifetime": "30m"}
    for name, other in {
        WORDS[0]: {"isolation": "strict", "workdir": "/home/odd"},
        "net": {"network": "internet", "workdir": "/srv/odd", "environment": f"{WORDS[1]}={WORDS[2]}"},
    }.items():
        answer = house.alice.post("/sandboxes/new/", name=name, **usual, **other)
        settled(house.product, {str(answer.url).rstrip("/").rpartition("/")[2]: "running"}, 60)


def terminal(house: House) -> None:
    """Paused and resumed; a shell, seen in another size, a command, and the numbers of a page that looks."""
    for word, status in (("pause", "paused"), ("resume", "running")):
        act(house.alice, house.busy, word)
        settled(house.product, {house.busy: status}, 20)
    shell = Shell(house.alice, house.busy, "asked")
    shell.socket.send(json.dumps({"type": "resize", "cols": 100, "rows": 30}))
    shell.type("echo seen-$((1+1))\n")
    assert shell.sees(lambda one: b"seen-2" in one.shown)
    house.alice.post(f"/sandboxes/{house.busy}/commands/", command=WORDS[3])
    with contextlib.closing(Shell(house.alice, house.busy, path="/ws/sandboxes/{pk}/")) as numbers:
        assert numbers.sees(lambda one: bool(one.last("stats"))), numbers.said
    shell.socket.send(json.dumps({"type": "close"}))
    assert shell.sees(lambda one: bool(one.last("ended")))
    shell.close()


def lab(room: Classroom) -> None:
    """A file for everybody; then the lab is closed, and all work saved."""
    room.product.tell(GIVE.format(**room.names))
    sql = "SELECT count(*) FROM labs_seat WHERE saved_at IS NOT NULL"
    room.ask(("prof", "/labs/{lab}/do/close/", {}))
    assert wait_until(lambda: query(room.product, sql) == [(2,)], 60), room.product.log()[-2000:]


GIVE = """
import time
from sandboxes.labs import broadcast
from sandboxes.labs.models import Lab
from sandboxes.lifecycle import audit
lab = Lab.objects.get(pk="{lab}")
broadcast.put_file(lab, "odd name.txt", b"x", audit.SYSTEM, list(lab.seats.all()))
"""


def by_its_own_words(way: Proxy, engine: private.PrivateEngine) -> None:
    """What a running install does once in its life, or never here: asked for by the engine's own words."""
    install = "test-words"
    with contextlib.closing(DockerEngine(install, host=way.host, network=install)) as ours:
        ours.build_starter(ODD)
        for image in ("localhost:9/none:1", "nowhere.invalid/none:1"):
            with contextlib.suppress(EngineError):
                ours.pull(image, lambda progress: None)
        with contextlib.closing(engine.client()) as api:
            api.import_image_from_data(box(), repository="sandboxes/named", tag="1", changes=["USER odd"])
        spec = calls.ContainerSpec("sb_odd", "sandboxes/named:1", 32 << 20, 1, 64, workdir="/srv/x")
        ours.remove(ours.create(spec))
        slow_to_end(way, ours)


def slow_to_end(way: Proxy, ours: DockerEngine) -> None:
    """One whose stop takes long is told again."""
    native_id = ours.create(calls.ContainerSpec("sb_slow", private.STARTER, 32 << 20, 1, 64))
    ours.start(native_id)
    ours.cpu_time(native_id)
    way.switch("slow")
    ours.stop(native_id)
    way.switch(FINE)
    ours.remove(native_id)


def box() -> bytes:
    """An image that names its user."""
    packed, passwd = io.BytesIO(), b"odd:x:1234:1234::/:/bin/sh\n"
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(passwd)
        tar.addfile(entry, io.BytesIO(passwd))
    return packed.getvalue()


def test_only_what_is_listed_is_asked(asked: list[Call], product: Product) -> None:
    images = {str(one) for (one,) in query(product, "SELECT reference FROM sandboxes_image")}
    images |= {ODD, "sandboxes/named:1"}
    assert calls.unlisted(asked, images) == []


def test_every_row_of_the_list_is_needed(asked: list[Call]) -> None:
    assert [one for one in calls.CLOSED if one not in calls.rows_of(asked)] == []


def test_no_word_of_a_person_is_in_a_path(asked: list[Call]) -> None:
    paths = " ".join(call.path for call in asked)
    assert [word for word in (*WORDS, "alice", "busy", "54321") if word in paths] == []


def test_every_container_is_as_the_profile_has_it(asked: list[Call], product: Product, told: Any) -> None:
    bodies = [one for one in calls.created(asked) if one["Labels"][calls.LABEL_INSTALL] == product.install]
    assert {one["HostConfig"]["ReadonlyRootfs"] for one in bodies} == {True, False}
    wishes = {pk: rest for pk, *rest in query(product, WISHES)}
    wrong = [found for one in bodies if (found := compared(one, product.install, wishes))]
    told(calls=len(asked), rows=len(calls.CLOSED), creates=len(bodies), wrong=len(wrong))
    assert wrong == []


WISHES = "SELECT id, memory, 1.0 * cpus, pids, network, workdir, image_reference, disk FROM sandboxes_sandbox"


def compared(body: dict[str, Any], install: str, wishes: dict[str, list[Any]]) -> list[Any]:
    """What differs from the profile, and from what is on record of this sandbox."""
    one = calls.wish(body)
    asked = [one.memory, one.cpus, one.pids, one.network, one.workdir, one.image, one.disk]
    recorded = wishes.get(one.sandbox_id, asked if one.sandbox_id.startswith("sb_probe") else [])
    other = [] if [*map(str, asked)] == [*map(str, recorded)] else [(asked, recorded)]
    return calls.beside_profile(body, install, STARTER, install) + other


STARTER = ImageFacts("1000:1000", "/workspace")


def test_a_new_call_has_no_row() -> None:
    strange = [
        Call("POST", "/v1.41/containers/prune", b""),
        Call("GET", "/v1.41/plugins", b""),
        Call("GET", "/v1.41/containers/../../info", b""),
        Call("POST", f"/v1.41/containers/{'a' * 64}/start?detachKeys=x", b""),
        Call("POST", f"/v1.41/containers/{'a' * 64}/exec", b'{"Cmd":["sh"],"New":1}'),
        Call("GET", "/v1.41/images/alice/json", b""),
        Call("POST", "/v1.41/containers/create?name=mine", b"{}"),
    ]
    assert len(calls.unlisted(strange, {"sandboxes/starter:latest"})) == len(strange)
