"""scripts/engine.py: what it does about an engine that does not answer, and what it says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scripts import debian, engine
from scripts.engine import INSTALL, START, TELL, Machine

ROOT = Path(__file__).resolve().parents[2]
BARE = Machine(is_root=True, is_debian=True)


@pytest.mark.parametrize(
    ("machine", "action", "words"),
    [
        (Machine(host="tcp://a:1", is_root=True, is_debian=True), TELL, "DOCKER_HOST=tcp://a:1"),
        (Machine(other="unix:///run/user/1/docker.sock"), TELL, "DOCKER_HOST=unix:///run/user"),
        (Machine(has_socket=True, has_dockerd=True), TELL, "usermod -aG docker"),
        (Machine(has_dockerd=True, has_socket=True, may_use_socket=True), TELL, "systemctl start"),
        (Machine(has_dockerd=True, is_root=True), START, "starting it"),
        (Machine(has_dockerd=True, is_root=True, may_install=False), START, "starting it"),
        (BARE, INSTALL, "SANDBOX_INSTALL_ENGINE=0"),
        (Machine(is_root=True, is_debian=True, may_install=False), TELL, "apt-get install"),
        (Machine(is_root=True), TELL, "docs.docker.com"),
        (Machine(is_debian=True), TELL, "sudo apt-get install docker.io"),
    ],
)
def test_decision_and_its_words(machine, action, words):
    decided, said = engine.decide(machine)
    assert decided == action
    assert words in said


def test_environment_variable_forbids_installing():
    assert engine.look({"SANDBOX_INSTALL_ENGINE": "0"}).may_install is False
    assert engine.look({}).may_install is True


def test_engine_daemon_is_looked_for_where_root_has_it(tmp_path):
    (tmp_path / "dockerd").write_text("#!/bin/sh\n")
    (tmp_path / "dockerd").chmod(0o755)
    assert engine.look({"PATH": str(tmp_path)}).has_dockerd


def test_engine_of_the_user_s_own_is_found(tmp_path):
    (tmp_path / "docker.sock").touch()
    found = engine.other_engine({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert found == f"unix://{tmp_path}/docker.sock"


@pytest.fixture
def nothing_answers(monkeypatch):
    """No engine answers, whatever is done; what was done is in the list."""
    done: list[str] = []
    monkeypatch.setattr(engine, "version", lambda: None)
    monkeypatch.setattr(engine, "wait", lambda seconds: None)
    monkeypatch.setattr(engine, "install", lambda: done.append("install"))
    monkeypatch.setattr(engine, "start", lambda: done.append("start"))
    return done


def test_bare_machine_gets_an_engine_installed_and_started(nothing_answers, monkeypatch):
    answers = iter([None, "28.0"])
    monkeypatch.setattr(engine, "wait", lambda seconds: next(answers))
    assert engine.bring_up(BARE) == "28.0"
    assert nothing_answers == ["install", "start"]


def test_package_that_starts_its_engine_by_itself_is_not_started_again(nothing_answers, monkeypatch):
    monkeypatch.setattr(engine, "wait", lambda seconds: "28.0")
    assert engine.bring_up(BARE) == "28.0"
    assert nothing_answers == ["install"]


def test_engine_that_does_not_come_up_is_tried_twice_and_its_log_shown(
    nothing_answers, monkeypatch, tmp_path, capsys
):
    log = tmp_path / "log"
    log.write_text("first\nfailed to start daemon: no space left\n")
    monkeypatch.setattr(engine, "LOG", log)
    assert engine.bring_up(Machine(has_dockerd=True, is_root=True)) is None
    assert nothing_answers == ["start", "start"]
    assert "no space left" in capsys.readouterr().out


def test_nothing_is_done_where_only_a_person_can(nothing_answers):
    assert engine.bring_up(Machine(host="tcp://a:1", is_root=True, is_debian=True)) is None
    assert nothing_answers == []


@pytest.mark.parametrize(("arguments", "code"), [([], 1), (["--go-on"], 0)])
def test_site_may_start_without_an_engine_but_tests_may_not(nothing_answers, monkeypatch, arguments, code):
    monkeypatch.setattr(engine, "look", lambda environ: Machine(host="tcp://a:1"))
    assert engine.main(arguments) == code


def test_failed_installation_is_told_in_words(nothing_answers, monkeypatch, capsys):
    def fail():
        raise debian.NotInstalled("`apt-get update` failed:\nno network")

    monkeypatch.setattr(engine, "look", lambda environ: BARE)
    monkeypatch.setattr(engine, "install", fail)
    assert engine.main([]) == 1
    assert "no network" in capsys.readouterr().out


def test_script_talks_to_docker_host_and_to_nothing_else():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        host = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "scripts.engine"],
            env=os.environ | {"DOCKER_HOST": host},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"No Docker Engine answers at DOCKER_HOST={host}" in done.stdout


# --- Debian ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_debian"),
    [
        ('ID=debian\nVERSION_ID="13"\n', True),
        ("NAME=x\nID=ubuntu\nID_LIKE=debian\n", True),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', True),
        ("ID=fedora\nID_LIKE=rhel\nHOME_URL=debian\n", False),
    ],
)
def test_debian_and_its_children_are_known(tmp_path, text, is_debian):
    (tmp_path / "os-release").write_text(text)
    assert debian.is_debian(tmp_path / "os-release") is is_debian


def test_machine_without_a_name_is_not_debian(tmp_path):
    assert not debian.is_debian(tmp_path / "missing")


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """An apt-get that writes down what it is told, and fails when the file `fails` exists."""
    program = tmp_path / "apt-get"
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/told\n'
        f"if [ -e {tmp_path}/fails ]; then echo E: no such package; exit 100; fi\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(debian, "can_install", lambda: True)
    return tmp_path


def test_packages_are_installed_with_fresh_lists_and_without_questions(apt):
    debian.install("chromium")
    update, install = (apt / "told").read_text().splitlines()
    assert update.endswith("update")
    assert install.endswith("install -y --no-install-recommends chromium")


def test_apt_s_own_words_come_with_its_failure(apt):
    (apt / "fails").touch()
    with pytest.raises(debian.NotInstalled, match="E: no such package"):
        debian.install("chromium")


def test_installing_is_refused_in_words_where_it_cannot_be_done(monkeypatch):
    monkeypatch.setattr(debian, "can_install", lambda: False)
    with pytest.raises(debian.NotInstalled, match="only root"):
        debian.install("chromium")


# --- a real second engine ----------------------------------------------------------------------


@pytest.fixture
def second_engine(tmp_path) -> Iterator[tuple[list[str], str]]:
    """How to start an engine of its own here, and the address that it will answer at.

    In a network of its own: one told to have no bridge removes the bridge of the machine's engine.
    """
    if os.geteuid() != 0 or not engine.look(os.environ).has_dockerd:
        pytest.skip("only root can start a Docker Engine, where one is installed")
    address = f"unix://{tmp_path}/docker.sock"
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    command = ["unshare", "--net", "dockerd", "-H", address, "--iptables=false", "--bridge=none"]
    command += [f"--{option}={tmp_path}/{name}" for option, name in places.items()]
    yield command, address
    with suppress(FileNotFoundError, ProcessLookupError):
        end_of(int((tmp_path / "pid").read_text()))


def end_of(pid: int) -> None:
    """Ends an engine and waits until it has cleaned up, at most 15 s."""
    os.kill(pid, signal.SIGTERM)
    for _ in range(150):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)


@pytest.mark.engine
def test_engine_is_started_and_answers(second_engine, tmp_path, monkeypatch):
    command, address = second_engine
    monkeypatch.setenv("DOCKER_HOST", address)
    assert engine.version() is None
    engine.start(command, tmp_path / "log")
    assert engine.wait(30), engine.tail(tmp_path / "log")
    assert engine.main([]) == 0
