"""Engines that misbehave: proxies before the real one, and servers that only pretend."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SOCKET = "/var/run/docker.sock"


class Proxy:
    """TCP (or TLS) on loopback, passed on to the engine's unix socket.

    ``stall`` true: what arrives is swallowed. ``cut()`` ends all connections under way.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.stall = False
        self._context = context
        self._pairs: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        for one in self._pairs:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                front, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(front,), daemon=True).start()

    def _serve(self, front: socket.socket) -> None:
        back = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            if self._context:
                front = self._context.wrap_socket(front, server_side=True)
            back.connect(SOCKET)
            self._pairs += [front, back]
            threading.Thread(target=self._pass, args=(back, front), daemon=True).start()
            self._pass(front, back)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.stall:
                    target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def pretender(answers: dict[str, tuple[int, str, bytes]]) -> Iterator[str]:
    """A server that gives one answer (status, type, body) for each path it knows the end of.

    Yields its address. The key "" answers everything else.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            status, kind, body = next(
                (answer for end, answer in answers.items() if end and path.endswith(end)),
                answers[""],
            )
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = answer

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with serving(Handler) as port:
        yield f"tcp://127.0.0.1:{port}"


class QuietServer(ThreadingHTTPServer):
    """Clients that hang up in the middle are part of the test."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """An HTTP server on loopback; yields its port."""
    server = QuietServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def certificates(folder: Path) -> ssl.SSLContext:
    """A throw-away certificate as ca.pem, cert.pem and key.pem in ``folder``; a server's context."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=x"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "ca.pem").write_bytes(cert.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
