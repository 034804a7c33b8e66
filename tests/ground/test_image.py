"""The container image: built, started against the engine's socket, ready, and it launches a sandbox."""

from __future__ import annotations

import io
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from django.test import Client
from docker.models.containers import Container

from scripts import debian, healthcheck, standin_base
from tests import recording

ROOT = Path(__file__).resolve().parents[2]
RUN = f"test-{secrets.token_hex(4)}"
TAG = f"sandboxes-test:{RUN}"


# --- what can be read from the files -----------------------------------------------------------


def test_image_needs_nothing_that_only_buildkit_has():
    text = (ROOT / "Dockerfile").read_text()
    assert text.splitlines()[1] == "ARG BASE=python:3.13-slim"
    assert not re.search(r"^# *syntax=|--mount|--chmod|<<", text, re.M)


def test_every_layer_of_the_image_says_what_it_was_made_for():
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1:]
    steps = [[line for line in stage.splitlines()[1:] if line[:1] != "#"][:2] for stage in stages]
    assert steps == 2 * [['ARG MADE_FOR=""', "LABEL sandboxes.made_for=$MADE_FOR"]]


class Answer:
    """A connection to a web server that answers with this status, or not at all."""

    def __init__(self, status: int) -> None:
        self.status = status

    def __call__(self, *_: Any, **__: Any) -> Answer:
        return self

    def request(self, *_: Any, **__: Any) -> None:
        if not self.status:
            raise ConnectionRefusedError

    def getresponse(self) -> Answer:
        return self


@pytest.mark.parametrize(("status", "code"), [(200, 0), (301, 1), (400, 1), (500, 1), (0, 1)])
def test_health_is_a_200_and_nothing_else(status, code, monkeypatch):
    monkeypatch.setattr(healthcheck, "HTTPConnection", Answer(status))
    assert healthcheck.main() == code


@pytest.mark.parametrize("hosts", ["", "lab.example.org", " .example.org , b.example", "*", "10.0.0.7"])
@pytest.mark.parametrize("https", [False, True])
def test_health_is_asked_for_as_the_site_wants_it(hosts, https, client_of_django, monkeypatch, settings):
    monkeypatch.setenv("SANDBOX_HOSTS", hosts)
    settings.ALLOWED_HOSTS = [one.strip() for one in hosts.split(",") if one.strip()] or ["localhost"]
    settings.SECURE_SSL_REDIRECT = https
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if https else None
    answer = client_of_django.get("/healthz", HTTP_HOST=healthcheck.host(), HTTP_X_FORWARDED_PROTO="https")
    assert answer.status_code == 200


@pytest.fixture
def client_of_django() -> Client:
    return Client()


def test_compose_opens_no_port_but_one_of_this_machine_s_own():
    text = (ROOT / "compose.yaml").read_text()
    assert re.findall(r"ports:(.*)", text) == [' ["127.0.0.1:8000:8000"]']
    assert "privileged" not in text


def test_compose_has_no_secret_of_its_own():
    text = (ROOT / "compose.yaml").read_text()
    secrets = re.findall(r"(?:PASSWORD|SECRET_KEY): (.*)", text)
    assert secrets
    assert all(secret.startswith("${") and ":?" in secret for secret in secrets)


# --- the real thing ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    """The engine, for steps that take minutes."""
    one = docker.from_env(timeout=900)
    yield one
    one.close()


@contextmanager
def swept(client: docker.DockerClient, name: str) -> Iterator[dict[str, str]]:
    """Whatever comes: no image and no layer that was made for this is there afterwards; gives their label."""
    ours = {"label": f"sandboxes.made_for={name}"}
    try:
        yield ours
    finally:
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(f"sandboxes-test:{name}")
        client.images.prune({**ours, "dangling": True})


@pytest.fixture(scope="module")
def tag(client) -> Iterator[str]:
    """The image, built on the stand-in for its base, and gone afterwards with every layer."""
    try:
        base = standin_base.ensure(client)
    except debian.NotInstalled as error:
        pytest.skip(str(error))
    with swept(client, RUN):
        client.images.build(
            path=str(ROOT), tag=TAG, buildargs={"BASE": base, "MADE_FOR": RUN}, rm=True, forcerm=True
        )
        yield TAG


def engine_socket() -> Path:
    """The way to this machine's engine."""
    host = recording.host()
    if not host.startswith("unix://"):
        pytest.skip(f"the engine at {host} has no socket here to give to a container")
    return Path(host.removeprefix("unix://"))


@pytest.fixture(scope="module")
def site(client, tag) -> Iterator[Container]:
    """The image's container, as a person would start it; its sandboxes and its data go with it."""
    socket = engine_socket()
    container = client.containers.run(
        tag,
        detach=True,
        ports={"8000/tcp": ("127.0.0.1", None)},
        volumes={str(socket): {"bind": "/var/run/docker.sock", "mode": "rw"}},
        group_add=[str(socket.stat().st_gid)],
        environment={"SANDBOX_CLEANUP_INTERVAL": "1"},
    )
    try:
        yield container
    finally:
        container.exec_run(["python", "manage.py", "shutdown", "--yes"])
        container.remove(force=True, v=True)


@pytest.fixture(scope="module")
def address(site) -> str:
    """Where the site is."""
    until(lambda: state(site).get("Health", {}).get("Status") == "healthy", site)
    site.reload()
    return f"http://127.0.0.1:{site.ports['8000/tcp'][0]['HostPort']}"


def state(site: Container) -> dict[str, Any]:
    """How the engine says that the container is."""
    site.reload()
    found: dict[str, Any] = site.attrs["State"]
    return found


def until(fact: Callable[[], Any], site: Container, seconds: float = 90) -> Any:
    """Waits for a fact and returns it; fails the test with the container's log when it stays away."""
    end = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < end, site.logs(tail=60).decode()
        time.sleep(0.5)
    return found


class Person:
    """Somebody at a browser without JavaScript."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.session = requests.Session()

    def get(self, path: str) -> str:
        """The text of a page."""
        answer = self.session.get(self.address + path, timeout=10)
        answer.raise_for_status()
        return answer.text

    def submit(self, path: str, **fields: str) -> requests.Response:
        """Sends the form on the page at `path`, with its hidden fields; returns where it led."""
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.get(path)))
        answer = self.session.post(self.address + path, data=hidden | fields, timeout=10)
        answer.raise_for_status()
        return answer


@pytest.fixture
def admin(site, address) -> Person:
    """The first admin, signed in by the link in the container's log or by a new one."""
    link = site.exec_run(["python", "manage.py", "signin_link", "admin"]).output.decode()
    person = Person(address)
    person.submit(re.sub(r"^https?://[^/]+", "", link.strip()))
    return person


@pytest.mark.engine
def test_container_is_healthy_ready_and_says_how_to_sign_in(site, address):
    until(lambda: requests.get(f"{address}/readyz", timeout=10).status_code == 200, site)
    assert re.search(r"/sign-in/\S+/\S+/", site.logs().decode())


@pytest.mark.engine
def test_nothing_in_the_container_is_root(site, address):
    assert b"10001" in site.exec_run(["id", "-u"]).output
    users = {process[0] for process in site.top(ps_args="-eo uid,pid,args")["Processes"]}
    assert users == {"10001"}


@pytest.mark.engine
def test_pages_come_with_their_hashed_styles_and_scripts(site, address, admin):
    page = admin.get("/sandboxes/")
    files = re.findall(r'(?:src|href)="(/static/[^"]+\.(?:css|m?js))"', page)
    assert files
    for path in files:
        assert re.search(r"\.[0-9a-f]{12}\.", path), path
        assert admin.session.get(address + path, timeout=10).status_code == 200


@pytest.mark.engine
def test_sandbox_is_launched_through_it_and_gone_after_shutdown(site, address, admin, client):
    page = admin.get("/sandboxes/new/")
    image = re.search(r'name="image" value="(\d+)"', page)
    assert image, page
    led = admin.submit("/sandboxes/new/", name="from-the-image", image=image.group(1))
    found = re.search(r"/sandboxes/(sb_\w+)/", led.url)
    assert found, led.url
    labels = {"label": f"sandboxes.id={found.group(1)}", "status": "running"}
    until(lambda: client.containers.list(filters=labels), site)
    until(lambda: "running" in admin.get(f"/sandboxes/{found.group(1)}/"), site)
    done = site.exec_run(["python", "manage.py", "shutdown", "--yes"])
    assert done.exit_code == 0, done.output.decode()
    assert not client.containers.list(all=True, filters={"label": labels["label"]})
    assert "Traceback" not in site.logs().decode()


@pytest.mark.engine
def test_it_is_healthy_behind_a_name_and_https_of_its_own(client, tag):
    names = {"SANDBOX_HOSTS": "lab.example.org", "SANDBOX_HTTPS": "1"}
    container = client.containers.run(tag, detach=True, environment=names)
    try:
        until(lambda: state(container).get("Health", {}).get("Status") == "healthy", container)
    finally:
        container.remove(force=True, v=True)


FAILS = """
FROM scratch AS build
LABEL %(label)s
WORKDIR /one
FROM scratch
LABEL %(label)s
WORKDIR /two
COPY --from=build /nothing /two/
"""


@pytest.mark.engine
def test_a_build_that_fails_leaves_nothing_behind(client):
    with swept(client, f"{RUN}-fails") as ours:
        with pytest.raises(docker.errors.BuildError):
            client.images.build(fileobj=io.BytesIO((FAILS % ours).encode()), rm=True, forcerm=True)
        assert client.images.list(all=True, filters=ours)  # there is something to leave
    assert not client.images.list(all=True, filters=ours)


@pytest.mark.engine
def test_container_ends_cleanly_when_it_is_told(client, tag, address):
    container = client.containers.run(tag, detach=True)
    try:
        until(lambda: b"Sandboxes is at" in container.logs(), container)
        container.stop(timeout=20)
        assert state(container)["ExitCode"] == 0
    finally:
        container.remove(force=True, v=True)
