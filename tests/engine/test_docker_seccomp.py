"""What the kernel answers to a program in a sandbox, call by call, beside the engine's own default."""

from __future__ import annotations

import errno
import json
import platform
from collections.abc import Iterator

import pytest

from sandboxes.engine import starter
from sandboxes.engine.busybox import find
from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.helpers import INSTALL, MIB, Sandboxes, run
from tests.engine.local_images import PYTHON_THERE, imported, packed, python
from tests.recording import by_hand

pytestmark = [
    pytest.mark.engine,
    pytest.mark.usefixtures("image"),
]
REFUSED = (errno.EPERM, errno.ENOSYS)
NUMBERS = range(470)
NAMED = {
    "x86_64": {
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "unshare": 272, "keyctl": 250,
        "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
        "mount": 165, "setns": 308, "process_vm_writev": 311, "pidfd_getfd": 438, "open_by_handle_at": 304,
    },
    "aarch64": {
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "unshare": 97, "keyctl": 219,
        "add_key": 217, "request_key": 218, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282,
        "mount": 40, "setns": 268, "process_vm_writev": 271, "pidfd_getfd": 438, "open_by_handle_at": 265,
    },
}[platform.machine()]  # fmt: skip
CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]
CLONE3 = 435

ASK = """
import ctypes, json, mmap, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
said, page = {}, mmap.mmap(-1, 4096)
def ask(number, *given):
    given = given or (-1,) * 6
    if libc.syscall(ctypes.c_long(number), *(ctypes.c_long(one) for one in given)) == -1:
        return ctypes.get_errno()
    return 0
for question in json.loads(sys.argv[1]):
    page[0] = 255
    child = os.fork()
    if child == 0:
        signal.alarm(1)
        os.close(2)
        page[0] = ask(*question)
        os._exit(0)
    os.waitpid(child, 0)
    said[" ".join(map(str, question))] = page[0]
print(json.dumps(said))
"""
"""Each question is a call's number and what it is given, asked in a process of its own; 255: it died."""


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine) -> Iterator[str]:
    """The starter image with this machine's Python in it."""
    tar = packed(python(), starter.tarball(*find()))
    with imported("python", tar, starter.CHANGES) as reference:
        yield reference


@pytest.fixture(scope="module")
def inside(docker_engine: DockerEngine, image: str) -> Iterator[str]:
    """A running sandbox of that image; nothing a test asks of it changes it."""
    made = Sandboxes(docker_engine, [])
    try:
        yield made.running(image=image, memory=256 * MIB, pids=128)
    finally:
        made.clear()


@pytest.fixture(scope="module")
def as_engine_likes(docker_engine: DockerEngine, image: str) -> Iterator[str]:
    """The same without our profile: the engine's default."""
    host = {"CapDrop": ["ALL"], "NetworkMode": "none", "Memory": 256 * MIB, "PidsLimit": 128}
    config = {"Image": image, "Entrypoint": ["sh"], "OpenStdin": True, "HostConfig": host,
              "Labels": {"sandboxes.install": INSTALL}}  # fmt: skip
    with by_hand() as api:
        native_id = api.create_container_from_config(config, f"{INSTALL}-default")["Id"]
        api.start(native_id)
    yield native_id
    docker_engine.remove(native_id)


def python_in(engine: DockerEngine, native_id: str, program: str, *argv: str) -> str:
    told = ["/opt/python/bin/python", "-c", program, *argv]
    out, err, code = run(engine, native_id, *told, environment=PYTHON_THERE)
    assert (code, err) == (0, b"")
    return out.decode()


def answers(engine: DockerEngine, native_id: str, *questions: tuple[int, ...]) -> dict[str, int]:
    found: dict[str, int] = json.loads(python_in(engine, native_id, ASK, json.dumps(questions)))
    return found


def test_what_is_not_on_the_list_is_refused(docker_engine: DockerEngine, inside: str):
    said = answers(docker_engine, inside, *((number,) for number in NAMED.values()))
    assert {name: said[str(number)] for name, number in NAMED.items()} == dict.fromkeys(NAMED, errno.EPERM)


def test_no_number_is_allowed_that_the_engine_s_default_refuses(
    docker_engine: DockerEngine, inside: str, as_engine_likes: str
):
    every = [(number,) for number in NUMBERS]
    ours, theirs = (answers(docker_engine, one, *every) for one in (inside, as_engine_likes))
    looser = [number for number in ours if theirs[number] in REFUSED and ours[number] not in REFUSED]
    assert looser == []


def test_a_process_in_a_namespace_of_its_own_is_refused(docker_engine: DockerEngine, inside: str):
    new_user, new_net, chld = 0x10000000, 0x40000000, 17
    asked = [(CLONE, flag | chld, 0, 0, 0, 0) for flag in (new_user, new_net)]
    assert set(
        answers(
            docker_engine,
            inside,
            *asked,
        ).values()
    ) == {errno.EPERM}


def test_programs_are_told_to_do_without_clone3(docker_engine: DockerEngine, inside: str):
    assert answers(docker_engine, inside, (CLONE3,)) == {str(CLONE3): errno.ENOSYS}


def test_only_the_usual_kinds_of_socket_can_be_had(docker_engine: DockerEngine, inside: str):
    program = """if True:
        import socket
        for family in range(46):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
                try:
                    socket.socket(family, kind).close()
                except OSError:
                    continue
                print(family)
                break
    """
    unix, inet, inet6, netlink = 1, 2, 10, 16
    found = {int(line) for line in python_in(docker_engine, inside, program).split()}
    assert found <= {unix, inet, inet6, netlink}
    assert {unix, inet} <= found


@pytest.mark.parametrize("family", [40, 38, 17, (1 << 32) | 40], ids=["vsock", "alg", "packet", "high bits"])
def test_a_socket_that_leads_out_is_refused(docker_engine: DockerEngine, inside: str, family: int):
    socket, socketpair = {"x86_64": (41, 53), "aarch64": (198, 199)}[platform.machine()]
    said = answers(docker_engine, inside, (socket, family, 1, 0), (socketpair, family, 1, 0, 0))
    assert set(said.values()) == {errno.EPERM}


def test_usual_programs_work(docker_engine: DockerEngine, inside: str):
    program = """if True:
        import socket, subprocess, threading
        thread = threading.Thread(target=print, args=("thread",))
        thread.start(); thread.join()
        print(subprocess.check_output(["sh", "-c", "echo child | tr a-z A-Z"], text=True), end="")
        server, client = socket.create_server(("127.0.0.1", 0)), socket.socket()
        client.connect(server.getsockname())
        server.accept()[0].sendall(b"socket")
        print(client.recv(10).decode())
    """
    assert python_in(docker_engine, inside, program).split() == ["thread", "CHILD", "socket"]


def test_files_of_every_kind_can_be_made(real: Sandboxes):
    line = "cd; mkfifo p; ln -s p l; touch f; chmod 600 f; mkdir -p a/b; tar cf x.tar a; tar tf x.tar"
    out, err, code = run(real.engine, real.running(), "sh", "-c", line)
    assert (code, err) == (0, b"")
    assert out.startswith(b"a/")
