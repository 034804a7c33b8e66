"""Files poured into a strict container: what came of it is told by tar's exit code, not by the connection."""

import pytest

from sandboxes.engine import files
from sandboxes.engine.base import EngineError, Unreachable


class Cut:
    """A connection that the engine resets, since nobody in there reads on."""

    def send(self, data: bytes, seconds: float) -> None:
        raise Unreachable("The connection to the engine broke.")

    def recv(self, seconds: float) -> bytes:
        raise Unreachable("The connection to the engine broke.")

    def close(self) -> None:
        pass


class Poured(files.Files):
    connection = None

    def open_exec(self, *given, **options):
        return "exec", Cut()


@pytest.mark.parametrize("code", [0, 1])
def test_a_connection_that_is_reset_concludes_nothing(monkeypatch, code):
    monkeypatch.setattr(files, "wait_for_exit", lambda connection, exec_id: code)
    if code:
        with pytest.raises(EngineError, match="could not be put"):
            Poured()._pour("native", "/workspace", b"x")
    else:
        Poured()._pour("native", "/workspace", b"x")
