"""The locks: hashed, without download addresses, and in step with what they were made from."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON_LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
ADDRESS = re.compile(r"https?://|git\+|^\s*(-i|--(extra-)?index-url|-f|--find-links)\b", re.M)


def test_all_locks_are_there():
    names = {path.stem for path in PYTHON_LOCKS}
    assert names == {"dev", "node", "run", "scale", "uv"}


@pytest.mark.parametrize("lock", [*PYTHON_LOCKS, ROOT / "package-lock.json"], ids=lambda p: p.name)
def test_lock_names_no_download_address(lock):
    assert not ADDRESS.search(lock.read_text())


@pytest.mark.parametrize("lock", PYTHON_LOCKS, ids=lambda p: p.name)
def test_every_python_package_has_a_version_and_a_hash(lock):
    packages = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert all(re.match(r"[a-z0-9._-]+==\S+", text) for text in packages)
    assert all("--hash=sha256:" in text for text in packages)


def test_every_npm_package_has_an_integrity_hash():
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    del packages[""]
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


def test_npm_lock_was_made_from_package_json():
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert lock["packages"][""]["dependencies"] == wanted


def names(path: Path) -> dict[str, str]:
    """The packages in a lock, with their versions."""
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(), re.M))


def test_python_locks_were_made_from_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    wanted = {re.match(r"[\w-]+", line).group().lower() for line in asked}
    assert wanted <= set(names(ROOT / "requirements/dev.lock"))


@pytest.mark.parametrize("narrow", ["run", "scale"])
def test_what_runs_is_what_was_tested(narrow):
    tested = names(ROOT / "requirements/dev.lock")
    running = names(ROOT / f"requirements/{narrow}.lock")
    assert running.items() <= tested.items()
