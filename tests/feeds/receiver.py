"""A receiver of webhooks in a thread: answers as it is told to, and remembers what it got."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Receiver:
    """``answers`` are (status, body, headers) for the next posts; the last one stays."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, dict[str, str]]] = [(204, b"", {})]
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.url = ""

    def will(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so from now on."""
        self.answers = [(status, body, {name.replace("_", "-"): value for name, value in headers.items()})]

    @property
    def types(self) -> list[str]:
        """The actions it was told, in order."""
        return [json.loads(body)["type"] for _, body in self.got]


def verify(secret: str, headers: dict[str, str], body: bytes, tolerance: float = 300) -> dict[str, Any]:
    """What the how-to tells receivers to do: the signature, then the time. Raises AssertionError."""
    key = b64decode(secret.removeprefix("whsec_"))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = f"v1,{b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()}"
    assert hmac.compare_digest(expected, headers["webhook-signature"])
    assert abs(time.time() - int(headers["webhook-timestamp"])) <= tolerance
    found: dict[str, Any] = json.loads(body)
    return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    """One on a free port of this machine."""
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            receiver.hold.wait(20)
            status, text, headers = (
                receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?key=k"
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        server.server_close()
