"""The whole product on an engine with the daemon.json of harden.md: root inside is nobody outside."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from bench.person import Person
from sandboxes.engine.docker_engine import DockerEngine
from tests.browser.product import Product
from tests.docs import documented, said
from tests.docs.front import begun
from tests.fakes.engine import STARTER
from tests.fakes.processes import wait_until
from tests.faults.private import PATH
from tests.faults.site import Shell, breaches, query, ready, settled, statuses
from tests.recording import Recorder

pytestmark = pytest.mark.engine
WANTED: dict[str, Any] = json.loads(said.block(documented.PAGE, "json", "userns-remap"))
KINDS = {"standard": {}, "rooted": {"runs_as_root": True}, "strict": {"isolation": "strict"}, "online": {}}
INSIDE = {"standard": 1000, "rooted": 0, "strict": 1000, "online": 1000}
STEPS = (
    ("pause", "paused"),
    ("resume", "running"),
    ("stop", "stopped"),
    ("start", "running"),
    ("remove", "removed"),
)
VALIDATE = [shutil.which("dockerd", path=PATH) or "dockerd", "--validate"]


IMAGES = "from sandboxes.models import Image"


def rows() -> list[dict[str, Any]]:
    about = {"size": 1 << 20}
    return [
        {"reference": f"sandboxes/{kind}:latest", "title": kind, **about, **more}
        for kind, more in KINDS.items()
    ]


@pytest.fixture(scope="module")
def own() -> Iterator[documented.Documented]:
    with documented.made() as engine:
        yield engine


@pytest.fixture(scope="module")
def product(own: documented.Documented, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """With an image of each kind."""
    with contextlib.closing(own.client()) as api:
        for kind in KINDS:
            api.tag(STARTER, f"sandboxes/{kind}")
    with contextlib.closing(Recorder(own.folder / "way.sock", own.socket)) as way:
        made = Product(tmp_path_factory.mktemp("site"), DOCKER_HOST=way.host, SANDBOX_DISK_FLOOR="32m")
        made.engine.close()
        made.engine = docker.DockerClient(base_url=own.host)
        with (
            contextlib.closing(made.engine),
            begun(made, f"{IMAGES}\nfor one in {rows()}: Image.objects.create(**one)\n"),
        ):
            yield made


@pytest.fixture(scope="module")
def alice(product: Product) -> Person:
    return Person(product)


@pytest.fixture(scope="module")
def ours(product: Product, alice: Person) -> dict[str, str]:
    """A running sandbox of each kind: its id."""
    found = {}
    for kind in KINDS:
        [(image,)] = query(product, "SELECT id FROM sandboxes_image WHERE title = ?", kind)
        fields = {"name": kind, "image": str(image), "memory": "64m", "pids": "64"}
        fields["network"] = "internet" if kind == "online" else "none"
        answer = alice.post("/sandboxes/new/", **fields)
        found[kind] = str(answer.url).rstrip("/").rpartition("/")[2]
    settled(product, dict.fromkeys(found.values(), "running"), 60)
    return found


def run(product: Product, alice: Person, pk: str, command: str) -> str:
    """What a command of the page says."""
    alice.post(f"/sandboxes/{pk}/commands/", command=command, shell="on")
    last = "FROM sandboxes_command WHERE sandbox_id = ? ORDER BY created_at DESC LIMIT 1"
    sql = f"SELECT exit_code, stdout {last}"
    assert wait_until(lambda: query(product, sql, pk)[0][0] is not None, 30), query(product, sql, pk)
    [(code, told)] = query(product, sql, pk)
    assert code == 0, told
    return bytes(told).decode()


def status(product: Product, pk: str) -> dict[str, list[int]]:
    """Of a sandbox's first process, as the host sees it: its users and groups, and how they are mapped."""
    place = Path("/proc", str(product.container(pk).attrs["State"]["Pid"]))
    lines = (line.split() for line in (place / "status").read_text().splitlines())
    ids = {line[0]: [*map(int, line[1:])] for line in lines if line[0] in ("Uid:", "Gid:")}
    return ids | {name: [*map(int, (place / name).read_text().split())] for name in ("uid_map", "gid_map")}


def test_the_engine_takes_every_setting_of_the_page(own: documented.Documented):
    with contextlib.closing(own.client()) as api:
        info, network = api.info(), api.inspect_network("bridge")
    assert info["LiveRestoreEnabled"] is WANTED["live-restore"] is True
    assert "name=userns" in info["SecurityOptions"]
    first, count = own.numbers()
    assert first > 65535
    assert count == 65536
    assert info["DockerRootDir"] == f"{own.data}/{first}.{first}"
    done = subprocess.run(
        [*VALIDATE, f"--config-file={own.folder}/daemon.json"], capture_output=True, text=True
    )
    assert done.returncode == 0 or "unknown flag: --validate" in done.stderr, done.stderr
    assert network["Options"]["com.docker.network.bridge.enable_icc"] == str(WANTED["icc"]).lower() == "false"


def test_whatever_else_runs_there_has_them_too(own: documented.Documented):
    with contextlib.closing(own.client()) as api:
        script = "ulimit -n; ulimit -c; grep NoNewPrivs /proc/self/status"
        made = api.create_container(STARTER, ["sh", "-c", script], user="0")["Id"]
        log = api.inspect_container(made)["HostConfig"]["LogConfig"]
        api.start(made)
        assert api.wait(made)["StatusCode"] == 0
        told = api.logs(made).split()
        api.remove_container(made, force=True)
    assert log["Config"] == WANTED["log-opts"]
    limits = [WANTED["default-ulimits"][name]["Soft"] for name in ("nofile", "core")]
    assert told == [str(limits[0]).encode(), str(limits[1]).encode(), b"NoNewPrivs:", b"1"]


LISTEN = "while :; do nc -l -p 7 < /dev/null; done"
KNOCK = "echo | timeout 5 nc -w 2 {at} 7 > /dev/null 2>&1; echo $?"


def test_others_on_the_engine_s_bridge_do_not_reach_each_other(own: documented.Documented):
    with contextlib.closing(own.client()) as api, contextlib.ExitStack() as stack:
        pair = [api.create_container(STARTER, ["sh", "-c", LISTEN], user="0")["Id"] for _ in range(2)]
        for one in pair:
            stack.callback(api.remove_container, one, force=True)
            api.start(one)
        at = api.inspect_container(pair[0])["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]

        def knock(place: str) -> bytes:
            made = api.exec_create(place, ["sh", "-c", KNOCK.format(at=at)])
            return bytes(api.exec_start(made)).strip()

        assert wait_until(lambda: knock(pair[0]) == b"0", 20)
        assert knock(pair[1]) != b"0"


def test_root_inside_is_nobody_outside(own: documented.Documented, product: Product, ours: dict[str, str]):
    first, count = own.numbers()
    for kind, pk in ours.items():
        seen, uid = status(product, pk), INSIDE[kind] + first
        assert (seen["Uid:"], seen["Gid:"]) == ([uid] * 4, [uid] * 4), kind
        assert (seen["uid_map"], seen["gid_map"]) == ([0, first, count], [0, first, count]), kind


def test_commands_run_as_whoever_they_are_to_run_as(product: Product, alice: Person, ours: dict[str, str]):
    for kind, pk in ours.items():
        told = run(product, alice, pk, "id -u; echo mine > /workspace/mine; cat /workspace/mine")
        assert told.split() == [str(INSIDE[kind]), "mine"], kind
    assert "refused" in run(product, alice, ours["strict"], "echo x > /etc/x || echo refused")


def test_a_terminal_opens_in_each(alice: Person, ours: dict[str, str]):
    for kind, pk in ours.items():
        shell = Shell(alice, pk)
        shell.type("echo in-$((40+2))\n")
        assert shell.sees(lambda one: b"in-42" in one.shown), (kind, shell.said)
        shell.close()


def test_files_that_are_put_in_belong_to_whoever_works_there(
    own: documented.Documented, product: Product, alice: Person, ours: dict[str, str]
):
    for kind, pk in ours.items():
        with contextlib.closing(DockerEngine(product.install, host=own.host)) as engine:
            engine.put_files(
                product.container(pk).id, "/workspace", archive("sheet", b"of today"), INSIDE[kind]
            )
        told = run(
            product, alice, pk, "cat /workspace/sheet; stat -c ' %u' /workspace/sheet; rm /workspace/sheet"
        )
        assert told.split() == ["of", "today", str(INSIDE[kind])], kind


def archive(name: str, content: bytes) -> bytes:
    with io.BytesIO() as whole:
        with tarfile.open(fileobj=whole, mode="w") as tar:
            one = tarfile.TarInfo(name)
            one.size = len(content)
            tar.addfile(one, io.BytesIO(content))
        return whole.getvalue()


def test_numbers_come_to_the_page(alice: Person, ours: dict[str, str]):
    pages = {kind: Shell(alice, pk, path="/ws/sandboxes/{pk}/") for kind, pk in ours.items()}
    for kind, page in pages.items():
        assert page.sees(lambda one: bool(one.last("stats"))), (kind, page.said)
        sample: dict[str, Any] = page.last("stats")["sample"]
        assert sample["memory_limit"] == 64 << 20
        assert sample["memory"] > 0
        page.close()


def test_they_live_on_while_the_engine_restarts(
    own: documented.Documented, product: Product, alice: Person, ours: dict[str, str]
):
    before, pids = statuses(product), {kind: status(product, pk) for kind, pk in ours.items()}
    shell = Shell(alice, ours["rooted"], "long")
    shell.type("sleep 54321 &\n")
    own.signal(signal.SIGTERM)
    assert wait_until(lambda: not ready(product), 30)
    own.start()
    assert wait_until(lambda: ready(product), 60), product.log()[-2000:]
    shell.close()
    assert statuses(product) == before
    assert {kind: status(product, pk) for kind, pk in ours.items()} == pids
    assert run(product, alice, ours["rooted"], "id -u") == "0\n"


def test_stopped_started_paused_and_removed_as_anywhere(
    product: Product, alice: Person, ours: dict[str, str]
):
    for action, then in STEPS:
        for pk in ours.values():
            alice.post(f"/sandboxes/{pk}/{action}/")
        settled(product, dict.fromkeys(ours.values(), then), 60)
    assert breaches(product) == ""
