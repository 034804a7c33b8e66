"""The backup of harden.md, its trial and its return, as they stand there, beside people at work."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.product import Product
from tests.docs import said
from tests.docs.front import NEW, Front, Visitor
from tests.fakes.processes import wait_until
from tests.faults.site import query, settled, statuses

pytestmark = pytest.mark.engine
PAGE = "how-to/harden.md"
FILLING = 60
"""MiB of the database that a backup has to copy while it is written to."""
COMMANDS = "SELECT argv FROM sandboxes_command"


@dataclass
class Place:
    """A product in ``folder`` as in /srv/sandboxes, and where its backups go."""

    folder: Path
    backups: Path
    temporary: Path
    product: Product
    alice: Visitor
    kept: str = ""
    gone: str = ""

    @property
    def copy(self) -> Path:
        """The latest."""
        return max(self.backups.iterdir(), default=self.backups)

    def run(self, script: str, **environment: str) -> str:
        """What it says, as a shell that stops at the first fault runs it."""
        places = {
            "/srv/sandboxes": self.folder,
            "/srv/backup/2026-11-28": self.copy,
            "/srv/backup": self.backups,
            "/mnt/heads": self.product.data,
            "/mnt/archive": self.backups.parent,
        }
        for old, new in places.items():
            script = script.replace(old, str(new))
        given = {"SANDBOX_DATA": str(self.product.data), "TMPDIR": str(self.temporary)}
        return shell(script, self.folder, **{**given, **environment})

    def block(self, has: str, **environment: str) -> str:
        """The same of the page's block with these words."""
        return self.run(said.block(PAGE, "sh", has), **environment)


def shell(script: str, folder: Path, **environment: str) -> str:
    """What a script says. It is ended with all it has begun after two minutes."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
    process = subprocess.Popen(
        ["sh", "-e", "-c", script], cwd=folder, env={**given, **environment}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        told, wrong = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    assert process.returncode == 0, (script, told, wrong)
    return told


@pytest.fixture(scope="module")
def place(site: Front, alice: Visitor, tmp_path_factory: pytest.TempPathFactory) -> Place:
    top = tmp_path_factory.mktemp("backups")
    for name in ("backup", "tmp"):
        (top / name).mkdir(mode=0o755)
    return Place(site.product.data.parent, top / "backup", top / "tmp", site.product, alice)


@contextlib.contextmanager
def writing(place: Place) -> Iterator[list[str]]:
    """Somebody who runs a command after the other, and a table that takes a row at any moment.

    Gives the commands that were taken so far.
    """
    taken: list[str] = []
    over = threading.Event()
    threads = [threading.Thread(target=one, args=(place, over, taken)) for one in (commands, rows)]
    for one in threads:
        one.start()
    try:
        assert wait_until(lambda: len(taken) > 3, 30)
        yield taken
    finally:
        over.set()
        for one in threads:
            one.join(30)


def commands(place: Place, over: threading.Event, taken: list[str]) -> None:
    while not over.wait(0.1):
        word = f"number-{len(taken)}"
        answer = place.alice.post(f"/sandboxes/{place.kept}/commands/", NEW, command=f"echo {word}")
        if answer.status < 400:
            taken.append(word)


def rows(place: Place, over: threading.Event, _: list[str]) -> None:
    with contextlib.closing(sqlite3.connect(place.product.data / "db.sqlite3", timeout=20)) as connection:
        while not over.wait(0.02):
            connection.execute("INSERT INTO filling VALUES (randomblob(100))")
            connection.commit()


def fill(place: Place) -> None:
    """As large as a database is after some terms."""
    with contextlib.closing(sqlite3.connect(place.product.data / "db.sqlite3", timeout=20)) as connection:
        connection.execute("CREATE TABLE filling (some BLOB)")
        for _ in range(FILLING):
            connection.execute("INSERT INTO filling VALUES (randomblob(1048576))")
            connection.commit()


def look(database: Path, sql: str) -> list[tuple[str]]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def made(place: Place) -> list[str]:
    """A backup, made twice on one day while people work; the commands that were taken before it."""
    place.kept, place.gone = place.alice.launch("kept"), place.alice.launch("gone")
    fill(place)
    with writing(place) as taken:
        place.block("VACUUM INTO")
        before = list(taken)
        place.block("VACUUM INTO")
        assert wait_until(lambda: len(taken) > len(before), 30), "nobody wrote meanwhile"
    return before


def test_a_backup_beside_people_at_work_is_whole(place: Place, made: list[str]):
    assert look(place.copy / "db.sqlite3", "PRAGMA integrity_check") == [("ok",)]
    copied = str(look(place.copy / "db.sqlite3", COMMANDS))
    assert [word for word in made if f'{word}"' not in copied] == []


def test_it_is_nobody_elses_to_read(place: Place, made: list[str]):
    assert {path.stat().st_mode & 0o077 for path in (place.copy, *place.copy.iterdir())} == {0}


def test_in_it_are_the_keys_and_nothing_that_is_of_the_moment(place: Place, made: list[str]):
    names = shell(f"tar -tzf {place.copy}/data.tar.gz", place.folder).split()
    assert {"./secret_key", "./audit_key", "./install"} <= set(names)
    assert [
        one for one in names if any(word in one for word in ("sqlite", "bell", "locks", "audit_head"))
    ] == []


def test_the_trial_says_that_all_is_well_and_leaves_nothing(place: Place, made: list[str]):
    told = place.block("PRAGMA integrity_check")
    assert "The trail is whole" in told
    assert told.splitlines()[-2:] == [
        "ok",
        str(query(place.product, "SELECT count(*) FROM sandboxes_user")[0][0]),
    ]
    assert list(place.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("has", "told"),
    [("audit verify --head", "The trail is whole"), ("audit prune", "Nothing happened before")],
)
def test_the_lines_for_cron_do_what_they_are_there_for(place: Place, has: str, told: str):
    """As cron hands them to a shell: without the time, and without the backslash before a per cent."""
    assert wait_until((place.product.data / "audit_head.json").exists, 30)
    line = said.block("how-to/production.md", "sh", has).split(maxsplit=5)[5]
    assert told in place.run(line.replace(r"\%", "%"))


def test_put_back_it_serves_the_same_people_and_puts_right_what_came_and_went_since(
    site: Front, place: Place
):
    product, newer = place.product, place.alice.launch("newer")
    product.container(place.gone).remove(force=True)
    product.stop()
    place.block("mv var", **product.environment)
    assert f"sandbox-{newer}" not in product.names()
    product.start()
    assert place.alice.ask("GET", "/sandboxes/").status == 200  # her session is good: the same secret key
    settled(product, {place.kept: "running", place.gone: "removed"}, 20)
    assert newer not in statuses(product)
    assert (product.data / "install").read_text() == product.install
    assert site.visitor().sign_in("bob").place == (303, "/sandboxes/")
