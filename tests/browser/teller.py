"""What `manage.py shell -c` does, without loading the project each time: there are hundreds of these.

A ``Teller`` has a process with the project loaded, which forks for each piece of code: what one does in its
process, the next finds undone. The other side is `python -m tests.browser.teller`: an order a line, what
became of it a line (JSON both).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import IO, Any, cast

ROOT = Path(__file__).resolve().parents[2]


class Teller:
    """Runs code as a command of an install with this environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._one_at_a_time = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.teller"],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._in, self._out = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)

    def run(self, code: str) -> str:
        """What it prints. Raises CalledProcessError with what was said of it when it failed."""
        with self._one_at_a_time:
            self._in.write(json.dumps(code) + "\n")
            self._in.flush()
            answer: dict[str, Any] = json.loads(self._out.readline())
        if answer["exit"]:
            print(answer["errors"])
            raise subprocess.CalledProcessError(answer["exit"], code, answer["output"], answer["errors"])
        output: str = answer["output"]
        return output

    def close(self) -> None:
        """Let its process end."""
        self._process.communicate()


def main() -> None:
    import django

    django.setup()
    import sandboxes.labs.opening  # noqa: F401  # so that no child has to load what most want

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            child = os.fork()
            if not child:
                live(json.loads(line), output, errors)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            answers.write(json.dumps({"exit": code, "output": read(output), "errors": read(errors)}) + "\n")
            answers.flush()


def live(code: str, output: IO[str], errors: IO[str]) -> None:
    """What a child does. It ends as any command does: what waits for its end is waited for."""
    from django.core.management import call_command

    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        call_command("shell", verbosity=0, command=code)
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
    sys.exit(0)


def read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


if __name__ == "__main__":
    main()
