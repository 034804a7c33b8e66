"""An engine that is away, stalls, breaks off or talks nonsense: told so, in time, and got over."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from sandboxes.engine.base import (
    ContainerSpec,
    EngineError,
    NotFound,
    TimedOut,
    Unreachable,
)
from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.helpers import INSTALL, Sandboxes, read_until, run
from tests.engine.odd_engines import SOCKET, Proxy, certificates, pretender
from tests.fakes.engine import STARTER

ID = "f" * 64
SPEC = ContainerSpec("sb_away", STARTER, 64 << 20, 0.5, 64)

CALLS: dict[str, Callable[[Any], Any]] = {
    "ping": lambda e: e.ping(),
    "info": lambda e: e.info(),
    "create": lambda e: e.create(SPEC),
    "start": lambda e: e.start(ID),
    "stop": lambda e: e.stop(ID),
    "pause": lambda e: e.pause(ID),
    "resume": lambda e: e.resume(ID),
    "remove": lambda e: e.remove(ID),
    "inspect": lambda e: e.inspect(ID),
    "list": lambda e: e.list(),
    "events": lambda e: next(iter(e.events(time.time(), lambda: False))),
    "exec": lambda e: e.exec(ID, ["true"]),
    "kill_marked": lambda e: e.kill_marked(ID, "m"),
    "stats": lambda e: next(iter(e.stats(ID, lambda: False))),
    "images": lambda e: e.images(),
    "has_image": lambda e: e.has_image("x"),
    "pull": lambda e: e.pull("x", lambda _: None),
    "build_starter": lambda e: e.build_starter("x:y"),
}


def at(host: str) -> DockerEngine:
    return DockerEngine(INSTALL, host=host)


# -- nobody there ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_no_socket_is_unreachable(name: str, tmp_path: Path):
    with closing(at(f"unix://{tmp_path}/none.sock")) as engine:
        with pytest.raises(Unreachable) as caught:
            CALLS[name](engine)
        assert str(tmp_path) not in str(caught.value)
        assert engine.health.unreachable_since is not None


async def test_no_socket_no_terminal(tmp_path: Path):
    with closing(at(f"unix://{tmp_path}/none.sock")) as engine, pytest.raises(Unreachable):
        await engine.open_terminal(ID, ["sh"], cols=80, rows=24, marker="m")


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:1", "nonsense://x", "tcp://nobody.invalid:1"])
def test_a_wrong_address_is_unreachable(host: str):
    with closing(at(host)) as engine, pytest.raises(Unreachable):
        engine.ping()


def test_a_client_is_made_without_asking_anybody(tmp_path: Path):
    with closing(at(f"unix://{tmp_path}/none.sock")) as engine:
        assert engine.health.unreachable_since is None


def test_settings_name_the_install_and_the_network(settings: Any):
    settings.SANDBOX_INSTALL = "from-settings"
    settings.SANDBOX_NETWORK_NAME = "a-network"
    with closing(DockerEngine.from_settings()) as engine:
        assert (engine.install, engine.network) == ("from-settings", "a-network")


# -- nonsense -------------------------------------------------------------------------------------

JSON = "application/json"
VERSION = (200, JSON, json.dumps({"ApiVersion": "1.41"}).encode())
NONSENSE = {
    "500 of an engine": (500, JSON, b'{"message": "is not running"}'),
    "500 of something else": (500, "text/plain", b"boom"),
    "502": (502, "text/html", b"<h1>Bad Gateway</h1>"),
    "404 of something else": (404, "text/html", b"<h1>no such container</h1>"),
    "html": (200, "text/html", b"<html>hello</html>"),
    "another shape": (200, JSON, b'[1, {"a": "b"}]'),
    "null": (200, JSON, b"null"),
    "empty": (200, JSON, b""),
}
QUESTIONS = ["info", "inspect", "list", "images", "has_image", "stats", "create"]


@pytest.mark.parametrize("answer", NONSENSE)
@pytest.mark.parametrize("name", QUESTIONS)
def test_nonsense_concludes_nothing(name: str, answer: str):
    with (
        pretender({"/version": VERSION, "": NONSENSE[answer]}) as host,
        closing(at(host)) as engine,
        pytest.raises(Unreachable),
    ):
        CALLS[name](engine)


@pytest.mark.parametrize("name", ["start", "stop", "pause", "resume", "remove", "exec"])
@pytest.mark.parametrize("answer", ["500 of something else", "502", "404 of something else"])
def test_nonsense_is_no_success_and_no_end(name: str, answer: str):
    with (
        pretender({"/version": VERSION, "": NONSENSE[answer]}) as host,
        closing(at(host)) as engine,
        pytest.raises(Unreachable),
    ):
        CALLS[name](engine)


@pytest.mark.parametrize("answer", [*NONSENSE])
def test_no_version_no_engine(answer: str):
    with (
        pretender({"": NONSENSE[answer]}) as host,
        closing(at(host)) as engine,
        pytest.raises(Unreachable),
    ):
        engine.list()


def test_an_engine_s_own_500_to_an_order_is_a_refusal():
    message = (500, JSON, b'{"message": "something in /var/lib/docker failed"}')
    with pretender({"/version": VERSION, "": message}) as host, closing(at(host)) as engine:
        with pytest.raises(EngineError) as caught:
            engine.start(ID)
        assert type(caught.value) is EngineError
        assert "/var/lib" in caught.value.detail
        assert "/var/lib" not in str(caught.value)
        assert engine.health.unreachable_since is None


# -- before the real one --------------------------------------------------------------------------


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


@pytest.fixture
def behind(proxy: Proxy, docker_engine: DockerEngine) -> Iterator[DockerEngine]:
    """The real engine, over TCP through the proxy."""
    with closing(at(f"tcp://127.0.0.1:{proxy.port}")) as engine:
        yield engine


@pytest.mark.engine
def test_a_stalling_engine_is_timed_out_and_got_over(proxy: Proxy, behind: DockerEngine):
    behind.ping()
    proxy.stall = True
    began = time.monotonic()
    with pytest.raises(TimedOut):
        behind.ping()
    assert 1 < time.monotonic() - began < 20
    assert behind.health.unreachable_since is not None
    proxy.stall = False
    behind.ping()
    assert behind.health.unreachable_since is None


@pytest.mark.engine
def test_an_engine_that_stalls_from_the_start_is_timed_out(proxy: Proxy, behind: DockerEngine):
    proxy.stall = True
    began = time.monotonic()
    for call in (behind.ping, behind.list):
        with pytest.raises(TimedOut):
            call()
    assert time.monotonic() - began < 8


@pytest.mark.engine
def test_many_callers_of_a_stalling_engine_do_not_wait_in_line(proxy: Proxy, behind: DockerEngine):
    proxy.stall = True
    began, caught = time.monotonic(), []

    def ask() -> None:
        try:
            behind.ping()
        except TimedOut as error:
            caught.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(caught) == 8
    assert time.monotonic() - began < 6


@pytest.mark.engine
def test_after_a_cut_everything_goes_on(proxy: Proxy, behind: DockerEngine):
    for _ in range(3):
        behind.list()
        proxy.cut()
        time.sleep(0.05)
        behind.list()


@pytest.mark.engine
@pytest.mark.parametrize("name", ["events", "stats"])
def test_a_cut_stream_is_told(proxy: Proxy, behind: DockerEngine, real: Sandboxes, name: str):
    native_id = real.running()
    streams = {
        "events": lambda: behind.events(time.time(), lambda: False),
        "stats": lambda: behind.stats(native_id, lambda: False),
    }
    threading.Timer(1.5, proxy.cut).start()
    with closing(streams[name]()) as stream, pytest.raises(Unreachable):
        list(stream)


@pytest.mark.engine
def test_a_stalling_stats_stream_still_hears_stop(proxy: Proxy, behind: DockerEngine, real: Sandboxes):
    began, over = time.monotonic(), [False]
    for sample in behind.stats(real.running(), lambda: over[0]):
        assert sample.pids
        proxy.stall = True
        began = time.monotonic()
        threading.Timer(0.2, lambda: over.__setitem__(0, True)).start()
    assert time.monotonic() - began < 8


@pytest.mark.engine
def test_execs_and_their_end_over_tcp(behind: DockerEngine, real: Sandboxes):
    native_id = real.running()
    line = "head -c 1000000 /dev/zero; echo e >&2; exit 5"
    out, err, code = run(behind, native_id, "sh", "-c", line)
    assert (len(out), err, code) == (1_000_000, b"e\n", 5)
    with pytest.raises(NotFound):
        behind.exec(ID, ["true"])


@pytest.mark.engine
async def test_terminals_over_tcp_are_read_by_the_loop(behind: DockerEngine, real: Sandboxes):
    await typed(behind, real.running(), plain=True)


@pytest.mark.engine
async def test_terminals_over_tls_are_read_by_threads(
    docker_engine: DockerEngine, real: Sandboxes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    proxy = Proxy(certificates(tmp_path))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    native_id = real.running()
    with closing(proxy), closing(at(f"tcp://127.0.0.1:{proxy.port}")) as engine:
        assert run(engine, native_id, "echo", "tls")[0] == b"tls\n"
        await typed(engine, native_id, plain=False)


async def typed(engine: DockerEngine, native_id: str, *, plain: bool) -> None:
    """A short session: the size, an echo, the exit code."""
    terminal: Any = await engine.open_terminal(native_id, ["sh"], cols=90, rows=20, marker="over")
    with closing(terminal):
        assert terminal._pipe._wire.plain is plain
        await terminal.write(b"stty size\r")
        assert b"20 90" in await read_until(terminal, b"20 90")
        await terminal.resize(70, 10)
        await terminal.write(b"stty size; exit 6\r")
        assert b"10 70" in await read_until(terminal, b"10 70")
        await read_until(terminal, b"never")
        assert await terminal.exit_code() == 6


@pytest.mark.engine
async def test_a_cut_terminal_reads_as_ended_or_broken(proxy: Proxy, behind: DockerEngine, real: Sandboxes):
    terminal = await behind.open_terminal(real.running(), ["sh"], cols=80, rows=24, marker="cut")
    with closing(terminal):
        await read_until(terminal, b"$ ")
        proxy.cut()
        with suppress(Unreachable):
            await read_until(terminal, b"never")


@pytest.mark.engine
def test_docker_host_is_honoured(proxy: Proxy, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{proxy.port}")
    with closing(DockerEngine(INSTALL)) as engine:
        engine.ping()
        proxy.cut()
        proxy.close()
        with pytest.raises(Unreachable):
            engine.ping()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{SOCKET}")
    with closing(DockerEngine(INSTALL)) as engine:
        engine.ping()
