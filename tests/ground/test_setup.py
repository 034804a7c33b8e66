"""scripts/setup.py: which Python it takes, and that it does nothing twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import setup


def interpreter(path: Path, answer: str, code: int = 0) -> Path:
    """A program at `path` that answers like an interpreter of that version, or fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{answer}'\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine whose only interpreter is the running one, and that is too old."""
    old = interpreter(tmp_path / "usr/python3", "3 11 /old/python")
    monkeypatch.setattr(sys, "executable", str(old))
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}


def test_running_python_is_taken_when_it_is_new_enough(machine, tmp_path, monkeypatch):
    new = interpreter(tmp_path / "usr/python3", "3 12 /usr/bin/python3")
    monkeypatch.setattr(sys, "executable", str(new))
    interpreter(tmp_path / "bin/python3.14", "3 14 /usr/bin/python3.14")
    assert setup.choose_python(machine) == "/usr/bin/python3"


def test_newest_python_on_the_path_is_taken(machine, tmp_path):
    interpreter(tmp_path / "bin/python3.12", "3 12 /usr/bin/python3.12")
    interpreter(tmp_path / "bin/python3.13", "3 13 /usr/bin/python3.13")
    assert setup.choose_python(machine) == "/usr/bin/python3.13"


def test_shim_that_fails_is_passed_over_for_a_version_folder_of_pyenv(machine, tmp_path):
    interpreter(tmp_path / "bin/python3.13", "pyenv: python3.13: command not found", code=127)
    for version in ("3.9.18", "3.12.10", "3.12.9"):
        minor = version.split(".")[1]
        path = tmp_path / f"home/.pyenv/versions/{version}/bin/python"
        interpreter(path, f"3 {minor} {path}")
    assert setup.choose_python(machine).endswith("versions/3.12.10/bin/python")


def test_file_name_proves_nothing(machine, tmp_path):
    interpreter(tmp_path / "bin/python3.13", "3 8 /usr/bin/python3.8")
    assert setup.choose_python(machine) is None


def test_ordered_python_is_taken(machine, tmp_path):
    path = interpreter(tmp_path / "my/python", "3 14 /my/python")
    assert setup.choose_python(machine | {"SANDBOX_PYTHON": str(path)}) == "/my/python"


@pytest.mark.parametrize("answer", ["3 11 /my/python", "hello", ""])
def test_ordered_python_that_is_no_good_is_an_error_although_others_would_do(machine, tmp_path, answer):
    interpreter(tmp_path / "bin/python3.13", "3 13 /usr/bin/python3.13")
    path = interpreter(tmp_path / "my/python", answer)
    with pytest.raises(setup.SetupError, match="SANDBOX_PYTHON"):
        setup.choose_python(machine | {"SANDBOX_PYTHON": str(path)})


def test_real_interpreter_tells_its_version_and_absolute_path():
    major, minor, path = setup.probe(sys.executable)
    assert (major, minor) == sys.version_info[:2]
    assert Path(path).is_absolute()


def test_free_threaded_and_development_builds_come_last():
    names = ["3.12.1", "3.14.0t", "3.13.0", "3.15-dev"]
    best_first = sorted(map(Path, names), key=setup.version_of, reverse=True)
    assert [path.name for path in best_first[:2]] == ["3.13.0", "3.12.1"]


def test_set_up_for_running_does_not_undo_the_one_for_development():
    assert setup.wanted_level(["--run"], {}) == "run"
    assert setup.wanted_level(["--run"], {"level": "dev"}) == "dev"
    assert setup.wanted_level([], {"level": "run"}) == "dev"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with locks, where installing only counts."""
    for name in ("requirements/run.lock", "requirements/dev.lock", "requirements/node.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup, "find_npm", lambda: "npm")
    return tmp_path


@pytest.fixture
def installs(checkout, monkeypatch):
    """The locks of every installation that was done."""
    done = []

    def install(level, locks, environ):
        interpreter(checkout / ".venv/bin/python", "3 13 /x")
        done.append(locks)

    monkeypatch.setattr(setup, "install_python", install)
    return done


def test_second_set_up_does_nothing(installs):
    setup.set_up_python([], {})
    setup.set_up_python([], {})
    setup.set_up_python(["--run"], {})
    assert installs == [["requirements/dev.lock"]]


def test_changed_lock_is_installed(installs, checkout):
    setup.set_up_python([], {})
    (checkout / "requirements/dev.lock").write_text("new")
    setup.set_up_python([], {})
    assert len(installs) == 2


def test_set_up_that_broke_off_is_done_again(installs, monkeypatch):
    def fail(*arguments):
        raise setup.SetupError("no network")

    with monkeypatch.context() as broken:
        broken.setattr(setup, "install_python", fail)
        with pytest.raises(setup.SetupError):
            setup.set_up_python([], {})
    setup.set_up_python([], {})
    assert len(installs) == 1


def test_machine_without_npm_gets_node_from_the_python_registry_and_keeps_it(installs, monkeypatch):
    monkeypatch.setattr(setup, "find_npm", lambda: None)
    setup.set_up_python([], {})
    assert installs == [["requirements/dev.lock", "requirements/node.lock"]]
    monkeypatch.setattr(setup, "find_npm", lambda: "the one that was installed")
    setup.set_up_python([], {})
    assert len(installs) == 1


def test_failure_is_one_sentence_and_not_a_traceback(tmp_path, monkeypatch, capsys):
    def fail(*arguments):
        raise setup.SetupError(setup.NO_PYTHON)

    monkeypatch.setattr(setup, "TOOLS", tmp_path / ".tools")
    monkeypatch.setattr(setup, "set_up_python", fail)
    assert setup.main([], {}) == 1
    assert capsys.readouterr().err == f"setup: {setup.NO_PYTHON}\n"
