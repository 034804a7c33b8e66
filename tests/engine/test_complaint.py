"""What a program prints in the engine's own words is not gathered: it may go on for ever."""

from sandboxes.engine import exec_stream
from sandboxes.engine.exec_stream import DockerExec


class Endless:
    """A connection of a program that says what the engine says, and then prints without end."""

    closed = False

    def __init__(self, most: int) -> None:
        self.pieces, self.most = 0, most

    def recv(self) -> bytes:
        self.pieces += 1
        if self.pieces > self.most:
            return b""
        text = b"OCI runtime exec failed: not\n" if self.pieces == 1 else b"y" * 65536
        return bytes([1, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def test_a_program_that_talks_like_the_engine_is_read_as_it_prints(monkeypatch):
    monkeypatch.setattr(exec_stream, "wait_for_exit", lambda *_: 126)
    wire = Endless(1000)
    stream = iter(DockerExec(None, "exec", wire, "sh"))  # type: ignore[arg-type]
    assert next(stream) == ("stdout", b"OCI runtime exec failed: not\n")
    assert wire.pieces < 10
    assert sum(len(data) for _, data in stream) == 999 * 65536
