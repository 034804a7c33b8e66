"""What uses the tests' helpers and is no test itself loads: pictures, benchmarks, set-up."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOUND = sorted((ROOT / "scripts").glob("*.py")) + sorted((ROOT / "bench").glob("*.py"))
NAMES = [".".join(one.relative_to(ROOT).with_suffix("").parts) for one in FOUND]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("__")])
def test_it_loads(name: str) -> None:
    assert importlib.import_module(name).__doc__
