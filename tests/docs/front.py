"""The nginx of docs/how-to/harden.md before a product with the settings that belong to it, and visitors."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from websockets.sync.client import connect
from websockets.typing import Origin

from scripts import services
from tests.browser.product import CAST, PASSWORD, Product, free_port
from tests.docs import said
from tests.faults.site import settled

PAGE, NAME = "how-to/harden.md", "lab.example.org"
BOOTSTRAP = """
from django.core.management import call_command
call_command("bootstrap", verbosity=0)
"""
IMAGE = re.compile(r'name="image" value="([^"]+)"')
NEW = "/sandboxes/new/"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Fronted(Product):
    """A product that only its proxy speaks to: asked for its health as the proxy would."""

    def _answers(self) -> bool:
        headers = {"Host": NAME, "X-Forwarded-Proto": "https"}
        with suppress(OSError):
            asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/healthz", headers=headers)
            return bool(urllib.request.urlopen(asked, timeout=2).status == 200)
        return False


class Answer(NamedTuple):
    """What came back, read whole."""

    status: int
    headers: Message
    text: str

    @property
    def place(self) -> tuple[int, str]:
        """Its status, and the path it leads to."""
        return self.status, urlsplit(self.headers["Location"]).path


@dataclass
class Front:
    """``plain`` and ``port`` are what the page has as ports 80 and 443; ``log`` is nginx's own."""

    product: Fronted
    plain: int
    port: int
    certificate: Path
    log: Path

    @property
    def origin(self) -> str:
        return f"https://{NAME}:{self.port}"

    def visitor(self, address: str = "127.0.0.1") -> Visitor:
        return Visitor(self, address)

    def logged(self, path: str) -> list[list[str]]:
        """Id, address and status of every request for a path; written after the visitor has the answer."""
        rows = [line.split() for line in self.log.read_text().splitlines()]
        return [row[:3] for row in rows if row[3:] == [path]]


class Visitor:
    """Somebody at an address of loopback, with cookies, who knows nothing of what is behind the proxy."""

    def __init__(self, front: Front, address: str) -> None:
        self.front, self.address = front, address
        self.tls = ssl.create_default_context(cafile=str(front.certificate))
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        plain = socket.create_connection(("127.0.0.1", self.front.port), 30, (self.address, 0))
        with self.tls.wrap_socket(plain, server_hostname=NAME) as secured:
            link = HTTPSConnection(NAME, self.front.port)
            link.sock = secured
            link.request(method, path, body or None, {"Cookie": self.cookie(), **headers})
            return self.read(link.getresponse())

    def read(self, answer: HTTPResponse) -> Answer:
        for line in answer.headers.get_all("Set-Cookie") or []:
            self.cookies.update({name: one.value for name, one in SimpleCookie(line).items()})
        return Answer(answer.status, answer.headers, answer.read().decode(errors="replace"))

    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def post(self, path: str, form: str, **fields: str) -> Answer:
        """Send the form of a page as its browser would; headers in fields begin with ``X_``."""
        token = TOKEN.search(self.ask("GET", form).text)
        assert token, "the page has no form"
        headers = {name.replace("_", "-"): fields.pop(name) for name in [*fields] if name.startswith("X_")}
        body = urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.front.origin}
        return self.ask("POST", path, body, Referer=self.front.origin + form, **headers)

    def sign_in(self, name: str, **headers: str) -> Answer:
        return self.post("/sign-in/", "/sign-in/", username=name, password=PASSWORD, **headers)

    def launch(self, name: str) -> str:
        """The id of a sandbox of the first image that is offered, once it runs."""
        image = IMAGE.search(self.ask("GET", NEW).text)
        assert image, "no image is offered"
        answer = self.post(NEW, NEW, name=name, image=image[1], memory="128m", pids="128")
        pk = answer.place[1].rstrip("/").rpartition("/")[2]
        settled(self.front.product, {pk: "running"}, 60)
        return pk

    def socket(self, path: str, origin: str) -> Any:
        """A websocket, as a page of this origin opens it."""
        plain = socket.create_connection(("127.0.0.1", self.front.port), 30, (self.address, 0))
        return connect(
            f"wss://{NAME}:{self.front.port}{path}", sock=plain, ssl=self.tls, server_hostname=NAME,
            origin=Origin(origin), additional_headers={"Cookie": self.cookie()}, ping_interval=None,
        )  # fmt: skip


def plain(port: int, path: str) -> tuple[int, str | None]:
    """What http answers at a port of loopback: the status, and where it leads to."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as link:
        link.request("HEAD", path, headers={"Host": NAME})
        answer = link.getresponse()
        return answer.status, answer.headers["Location"]


def beside_ipv4() -> str:
    """Where IPv6 listens, or nowhere where this machine has none: nginx would not start."""
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return "listen [::1]:"
    return "#"


def blocks(plain: int, port: int, to: int, certificate: Path, key: Path) -> str:
    """The page's block with other ports and paths, and `$http_host` as it says for a port that is not 443."""
    folder = f"/etc/letsencrypt/live/{NAME}"
    given = said.changed(said.block(PAGE, "nginx", "proxy_pass"), {
        "listen 80;": f"listen 127.0.0.1:{plain};", "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "listen [::]:80;": f"{beside_ipv4()}{plain};", "listen [::]:443 ssl;": f"{beside_ipv4()}{port} ssl;",
        "127.0.0.1:8000": f"127.0.0.1:{to}",
        f"{folder}/fullchain.pem": str(certificate), f"{folder}/privkey.pem": str(key),
    })  # fmt: skip
    assert "`$http_host`" in (said.ROOT / "docs" / PAGE).read_text()
    return said.changed(given, {"proxy_set_header Host $host;": "proxy_set_header Host $http_host;"})


def signed(folder: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={NAME}",
    ]
    command += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def checkout(folder: Path, **given: str) -> Fronted:
    """A product in a folder as in /srv/sandboxes; its install is known by a file, as it is there."""
    folder.mkdir()
    for name in (".venv", "manage.py"):
        (folder / name).symlink_to(said.ROOT / name)
    (folder / "var").mkdir()
    product = Fronted(folder / "var", SANDBOX_ORPHAN_GRACE="1", **given)
    (product.data / "install").write_text(product.environment.pop("SANDBOX_INSTALL"))
    return product


@contextmanager
def front(folder: Path) -> Iterator[Front]:
    """Both, in this folder, gone without a trace afterwards."""
    outside, port = free_port(), free_port()
    given = said.environment(said.block(PAGE, "sh", "SANDBOX_HTTPS=1"))
    given["SANDBOX_ORIGINS"] += f":{port}"
    product = checkout(folder / "sandboxes", **given)
    certificate, key = signed(folder)
    with closing(product.engine), begun(product):
        config = blocks(outside, port, product.port, certificate, key)
        with services.nginx(config) as served:
            yield Front(product, outside, port, certificate, served / "access")


@contextmanager
def begun(product: Product, more: str = "") -> Iterator[None]:
    """A product that serves, made with its cast by one command; stopped and swept afterwards."""
    try:
        product.manage("shell", "-v", "0", "-c", f"{BOOTSTRAP}{CAST}{more}")
        product.start()
        yield
    finally:
        product.stop()
        product.sweep()
