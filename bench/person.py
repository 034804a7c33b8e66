"""A signed-in person without a browser, for benches and tests: pages by urllib, sockets by websockets."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import docker
import websockets

from bench.wire import Wire
from tests.browser.product import PASSWORD, Product


class Person:
    """One of the cast of a running product."""

    def __init__(self, product: Product, name: str = "alice") -> None:
        self.product = product
        self.jar = HTTPCookieProcessor()
        self.open = build_opener(self.jar).open
        self.post("/sign-in/", username=name, password=PASSWORD)

    def page(self, path: str) -> str:
        return str(self.open(self.product.url + path).read().decode())

    def post(self, path: str, **fields: str) -> Any:
        token = self.token(path)
        data = urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        return self.open(Request(self.product.url + path, data, {"Referer": self.product.url + path}))

    def token(self, path: str) -> str:
        page = self.page(path if path.endswith(("new/", "sign-in/")) else "/sandboxes/new/")
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found, "the page has no form"
        return found[1]

    def launch(self, name: str, **fields: str) -> str:
        """Launch the starter image and wait until it runs; the sandbox's id."""
        page = self.page("/sandboxes/new/")
        image = re.search(r'name="image" value="([^"]+)"', page)
        assert image, "no image is offered"
        fields = {"memory": "128m", "pids": "128"} | fields
        answer = self.post("/sandboxes/new/", name=name, image=image[1], **fields)
        found = re.search(r"/sandboxes/(sb_\w+)/", answer.url)
        assert found, f"not launched: {answer.url}"
        self.until_running(found[1])
        return found[1]

    def until_running(self, sandbox_id: str) -> None:
        for _ in range(300):
            with contextlib.suppress(docker.errors.NotFound):
                if self.product.container(sandbox_id).status == "running":
                    return
            time.sleep(0.1)
        raise TimeoutError(sandbox_id)

    def terminal(self, sandbox_id: str, name: str = "main", **options: Any) -> Any:
        """A socket to a terminal; ``origin`` and ``cookies`` as a foreign page would have them."""
        return self.socket(f"/ws/sandboxes/{sandbox_id}/terminals/{name}/?cols=80&rows=24", **options)

    def wire(self, sandbox_id: str, name: str) -> Wire:
        """The same through a client that costs next to nothing."""
        path = f"/ws/sandboxes/{sandbox_id}/terminals/{name}/?cols=80&rows=24"
        return Wire(self.product.url.replace("http", "ws") + path, self.product.url, self.cookies())

    def cookies(self) -> str:
        return "; ".join(f"{one.name}={one.value}" for one in self.jar.cookiejar)

    def list(self) -> Any:
        """The list's socket."""
        return self.socket("/ws/sandboxes/")

    def socket(self, path: str, *, origin: Any = ..., cookies: str | None = None) -> Any:
        return websockets.connect(
            self.product.url.replace("http", "ws") + path,
            origin=self.product.url if origin is ... else origin,
            additional_headers={"Cookie": self.cookies() if cookies is None else cookies},
            max_size=None, compression=None, ping_interval=None,
        )  # fmt: skip


def web_process(product: Product) -> int:
    """The process id of its web server."""
    assert product.process is not None
    found = Path(f"/proc/{product.process.pid}/task/{product.process.pid}/children").read_text().split()
    return next(int(one) for one in found if b"web_server" in Path(f"/proc/{one}/cmdline").read_bytes())
