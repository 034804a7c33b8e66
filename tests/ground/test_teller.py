"""The way tests run code in an install: each piece as a command of its own, whose failure is heard."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.teller import Teller


@pytest.fixture
def teller(tmp_path: Path) -> Iterator[Teller]:
    made = Teller({**os.environ, "SANDBOX_DATA": str(tmp_path)})
    yield made
    made.close()


def test_what_it_prints_comes_back_and_each_has_a_process_of_its_own(teller: Teller) -> None:
    assert teller.run("import json; json.kept = 1; print(Sandbox.__name__)") == "Sandbox\n"
    assert teller.run("import json; print(hasattr(json, 'kept'))") == "False\n"


def test_what_fails_is_raised_and_the_next_runs(teller: Teller) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        teller.run("print('before'); raise ValueError('that was wrong')")
    assert raised.value.output == "before\n"
    assert "ValueError: that was wrong" in raised.value.stderr
    with pytest.raises(subprocess.CalledProcessError):
        teller.run("import sys; sys.exit(3)")
    assert teller.run("print(1)") == "1\n"


def test_a_thread_that_it_leaves_is_waited_for(teller: Teller) -> None:
    later = (
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.3), print('later'))).start()"
    )
    assert teller.run(later) == "later\n"
