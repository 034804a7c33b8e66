"""scripts/no_skips.py: a skip is a failure where CI is set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = {
    "a mark": "import pytest\n@pytest.mark.skip(reason='tired')\ndef test_it(): ...\n",
    "a call": "import pytest\ndef test_it(): pytest.skip('tired')\n",
    "a fixture": "import pytest\n@pytest.fixture\ndef it(): pytest.skip('tired')\ndef test_it(it): ...\n",
    "a module": "import pytest\npytest.skip('tired', allow_module_level=True)\n",
}


def run(folder: Path, text: str, ci: str) -> tuple[int, str]:
    """Runs one test file with the plugin; returns the exit code and what pytest said."""
    (folder / "test_sample.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    options = ["-p", "scripts.no_skips", "-p", "no:cacheprovider", "-p", "no:django"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        env=os.environ | {"CI": ci, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("kind", SAMPLES)
def test_skip_fails_where_ci_is_set_and_says_why(tmp_path, kind):
    code, said = run(tmp_path, SAMPLES[kind], ci="true")
    assert code != 0
    assert "Skipped although CI is set" in said
    assert "tired" in said


def test_skip_is_a_skip_on_a_persons_machine(tmp_path):
    assert run(tmp_path, SAMPLES["a call"], ci="")[0] == 0


def test_expected_failure_stays_expected(tmp_path):
    text = "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n"
    assert run(tmp_path, text, ci="true")[0] == 0
