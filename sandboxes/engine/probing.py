"""Looks from inside, with a throwaway container, at what a sandbox with "internet" reaches."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from .base import EngineError, Reach, Unsupported
from .containers import Containers
from .exec_stream import Execs
from .image_users import throwaway

METADATA = "169.254.169.254"
PORTS = "22 2375 39999"
"""Of the engine's host, when none can be opened there for the purpose."""
_LINE = """
try() { echo | timeout 5 nc -w 2 "$1" "$2" 2>&1 > /dev/null; }
say_if_reached() {
  try "$2" "$3" > /dev/null
  case $? in 0|124|143) echo "$1" ;; *) return 1 ;; esac
}
say_if_answered() {
  said=$(try "$2" "$3"); code=$?
  case "$code $said" in 0*|124*|143*|*refused*) echo "$1" ;; *) return 1 ;; esac
}
nc -l -p 1099 > /dev/null < /dev/null &
for again in 1 2 3 4 5 6 7 8; do
  say_if_reached self 127.0.0.1 1099 && break
  sleep 0.1
done
say_if_answered refusing 127.0.0.1 1
if [ "$2" ]; then
  say_if_reached host "$1" "$2"
else
  for port in $4; do say_if_answered host "$1" "$port" && break; done
fi
say_if_reached metadata "$3" 80
echo done
"""
"""That it reaches itself, and hears its own refusal, shows that what it does not is kept from it.

Where no port of the host can be opened, any answer counts: our rules say "prohibited", which is an
error of the network, and a host that is reached says "refused", or takes the connection.
"""


class Probing(Containers, Execs):
    """The part of the Engine that looks from inside."""

    def reach(self, image: str) -> Reach:
        self._ensure_network()
        gateway = self._gateway()
        try:
            with listening(gateway) as port:
                said, is_near = self._said(image, gateway, str(port)), True
        except Unsupported:  # the bridge is on another machine than we are
            said, is_near = self._said(image, gateway, ""), False
        if not {"self", "refusing"} <= set(said) or said[-1] != "done":
            raise EngineError("The probe could not look.", " ".join(said)[:200])
        return Reach(host="host" in said, metadata="metadata" in said, is_near=is_near)

    def _said(self, image: str, gateway: str, port: str) -> list[str]:
        """What the probe says, word by word."""
        native_id = self.create(throwaway(image, network="internet"))
        try:
            self.start(native_id)
            argv = ["sh", "-c", _LINE, "probe", gateway, port, METADATA, PORTS]
            with closing(self.exec(native_id, argv)) as stream:
                return b"".join(data for _, data in stream).decode(errors="replace").split()
        finally:
            self._discard(native_id)

    def _gateway(self) -> str:
        """The host's own address on the bridge."""
        with self.connection.control(reading=True) as api:
            found = next(one for one in api.networks(names=[self.network]) if one["Name"] == self.network)
            return str(found["IPAM"]["Config"][0]["Gateway"])


@contextmanager
def listening(address: str) -> Iterator[int]:
    """A port of the host that answers on this address while it is needed. Raises Unsupported."""
    with socket.socket() as server:
        try:
            server.bind((address, 0))
        except OSError as error:
            raise Unsupported(
                "The bridge is not on this machine, so it cannot be looked at.", str(error)
            ) from error
        server.listen(8)
        threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread


def _hang_up(server: socket.socket) -> None:
    """Take each connection and end it, until the server is closed."""
    with suppress(OSError):
        while True:
            server.accept()[0].close()
