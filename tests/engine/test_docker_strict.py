"""A strict sandbox on the real engine: what it cannot do, and that one can work in it all the same."""

from __future__ import annotations

import io
import tarfile

import pytest

from sandboxes.engine.base import EngineError
from tests.engine.helpers import MIB, Sandboxes, run

pytestmark = pytest.mark.engine


@pytest.fixture
def strict(real: Sandboxes) -> str:
    return real.running(strict=True, memory=64 * MIB)


def shell(real: Sandboxes, native_id: str, line: str) -> tuple[str, int | None]:
    """Both streams together, and the exit code."""
    out, err, code = run(real.engine, native_id, "sh", "-c", line)
    return (out + err).decode(), code


def test_nothing_of_the_system_can_be_written(real: Sandboxes, strict: str):
    for folder in ("/", "/etc", "/usr", "/bin", "/var/tmp", "/srv"):
        text, code = shell(real, strict, f"mkdir -p {folder} && echo x > {folder}/file")
        assert code != 0
        assert "Read-only" in text


def test_there_are_two_places_to_write_and_they_are_the_student_s(real: Sandboxes, strict: str):
    each = "echo 'echo ran' > $f/s && chmod +x $f/s && $f/s && stat -c %u:%g $f"
    line = f"for f in /workspace /tmp; do {each}; done"
    assert shell(real, strict, line) == ("ran\n1000:1000\nran\n1000:1000\n", 0)


def test_they_hold_so_much_and_no_more(real: Sandboxes, strict: str):
    text, code = shell(real, strict, "df -m /workspace /tmp | tr -s ' ' | cut -d' ' -f2 | tail -2")
    assert text.split() == ["32", "8"]
    text, code = shell(real, strict, "dd if=/dev/zero of=/tmp/full bs=1M count=20")
    assert code != 0
    assert "No space left" in text
    assert shell(real, strict, "echo more > /workspace/file && cat /workspace/file") == ("more\n", 0)


def test_there_is_no_network_and_no_way_up(real: Sandboxes, strict: str):
    text, _ = shell(
        real, strict, "ls /sys/class/net; id -u; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"
    )
    assert text.split() == ["lo", "1000", "CapBnd:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2"]


def packed(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def test_files_can_be_put_there_and_read_back(real: Sandboxes, strict: str):
    large = bytes(range(256)) * 4096 * 4
    real.engine.put_files(strict, "/workspace", packed(sub__hello=b"hi\n", large=large))
    assert shell(real, strict, "cd; cat sub/hello; wc -c < large") == (f"hi\n{len(large)}\n", 0)
    back, _, code = run(real.engine, strict, "sh", "-c", "tar -c -C /workspace -f - .")
    assert code == 0
    with tarfile.open(fileobj=io.BytesIO(back)) as tar:
        found = tar.extractfile("./large")
        assert found is not None
        assert found.read() == large


def test_files_that_do_not_fit_say_so(real: Sandboxes, strict: str):
    with pytest.raises(EngineError, match="could not be put"):
        real.engine.put_files(strict, "/workspace", packed(large=b"x" * (40 * MIB)))


def test_a_working_directory_elsewhere_is_in_memory_too(real: Sandboxes):
    native_id = real.running(strict=True, workdir="/srv/deep/lab")
    assert shell(real, native_id, "pwd; echo $HOME; echo x > f && echo done") == (
        "/srv/deep/lab\n/srv/deep/lab\ndone\n",
        0,
    )


def test_a_file_larger_than_its_disk_ends_its_writer(real: Sandboxes):
    native_id = real.running(disk=4 * MIB)
    text, code = shell(real, native_id, "dd if=/dev/zero of=/workspace/f bs=1M count=20; ls -s /workspace/f")
    assert "File too large" in text or "File size limit" in text or code != 0
    assert shell(real, native_id, "test $(stat -c %s /workspace/f) -le 4194304 && echo small")[0] == "small\n"
