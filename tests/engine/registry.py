"""A registry on loopback for the engine to pull from: one small image, and ways to go wrong.

Source: OCI distribution specification, the pull half; the engine takes plain HTTP on 127.0.0.0/8.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.engine.odd_engines import serving

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PIECE = 64 * 1024


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(name: str, size: int) -> tuple[bytes, str]:
    """A layer with one file of ``size`` random bytes: packed, and the digest of its tar."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return gzip.compress(whole.getvalue(), 1), digest(whole.getvalue())


class SmallImage:
    """An image of a few layers: its blobs by digest, and its manifest."""

    def __init__(self, *sizes: int) -> None:
        layers = [layer(f"file{number}", size) for number, size in enumerate(sizes)]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["sh"]},
                "rootfs": {"type": "layers", "diff_ids": [tar for _, tar in layers]},
            }
        ).encode()
        self.blobs = {digest(data): data for data in (config, *(packed for packed, _ in layers))}
        self.total = sum(len(packed) for packed, _ in layers)
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": described(CONFIG, config),
                "layers": [described(LAYER, packed) for packed, _ in layers],
            }
        ).encode()


def described(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


class Handler(BaseHTTPRequestHandler):
    """Answers for one image; ``registry`` makes the subclass that knows which, and how."""

    image: SmallImage
    mode: str
    pause: float
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        if self.mode == "closed":
            self.complain(401, "UNAUTHORIZED", "sign in")
        elif self.path == "/v2/":
            self.send_bytes(b"{}", "application/json")
        elif self.mode == "missing":
            self.complain(404, "MANIFEST_UNKNOWN", "manifest unknown")
        elif "/manifests/" in self.path:
            self.send_bytes(self.image.manifest, MANIFEST, body=body)
        else:
            self.blob(self.image.blobs[self.path.rpartition("/")[2]])

    def blob(self, data: bytes) -> None:
        kind, is_layer = "application/octet-stream", len(data) > 10_000
        if is_layer and self.mode == "silent":
            self.head(200, kind, len(data))
            time.sleep(10)
        elif is_layer and self.mode == "broken":
            self.send_bytes(data[: len(data) // 2], kind, len(data))
            self.close_connection = True
        else:
            half = is_layer and self.mode == "half"
            self.send_bytes(data[: len(data) // 2] if half else data, kind)

    def complain(self, status: int, code: str, message: str) -> None:
        errors = {"errors": [{"code": code, "message": message}]}
        data = json.dumps(errors).encode()
        self.head(status, "application/json", len(data))
        self.wfile.write(data)

    def send_bytes(self, data: bytes, kind: str, length: int = 0, body: bool = True) -> None:
        self.head(200, kind, length or len(data))
        for at in range(0, len(data) if body else 0, PIECE):
            self.wfile.write(data[at : at + PIECE])
            time.sleep(self.pause)

    def head(self, status: int, kind: str, length: int) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        if kind == MANIFEST:
            self.send_header("Docker-Content-Digest", digest(self.image.manifest))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def registry(image: SmallImage, mode: str = "good", pause: float = 0.0) -> Iterator[str]:
    """Serve ``image`` under any name; yields "127.0.0.1:port".

    Modes: good, missing (404), closed (401), half (half of each layer for the whole), broken (the
    connection breaks inside each layer; the engine then tries for over a minute), silent (layers
    stall). ``pause`` seconds pass between pieces of 64 KiB.
    """
    attributes = {"image": image, "mode": mode, "pause": pause}
    with serving(type("Bound", (Handler,), attributes)) as port:
        yield f"127.0.0.1:{port}"
