"""What a server with compose is set up and backed up with, as the pages have it, on a private PostgreSQL.

In place of `docker` stands a script that takes `compose exec SERVICE` and `compose run SERVICE` off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from scripts import services
from tests.browser.product import CAST, Product
from tests.docs import said
from tests.docs.front import BOOTSTRAP
from tests.docs.test_backups import shell

pytestmark = pytest.mark.engine
PAGE = "how-to/harden.md"
SEAL = """
call_command("audit", "seal")
"""
DOCKER = """#!/bin/sh
[ "$1" = compose ] || exit 9
shift 2
while :; do case "$1" in -e) export "$2"; shift 2;; -*) shift;; *) shift; break;; esac; done
exec "$@"
"""


@dataclass
class Server:
    """A folder as the one of compose.yaml, its data, its database's socket and its backups."""

    folder: Path
    socket: Path
    product: Product

    @property
    def copy(self) -> Path:
        """The latest."""
        return max((self.folder / "backup").iterdir(), default=self.folder)

    def run(self, script: str) -> str:
        places = {"/srv/backup/2026-11-28": str(self.copy), "/srv/backup": str(self.folder / "backup"),
                  "-C /data": f"-C {self.product.data}", "/tmp/try": str(self.folder / "try"),
                  "@postgres:5432/": f"@{quote(str(self.socket), safe='')}/"}  # fmt: skip
        for old, new in places.items():
            script = script.replace(old, new)
        programs = [self.folder / "bin", said.ROOT / ".venv/bin", *services.postgres_programs()]
        path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
        return shell(script, self.folder, PATH=path, PGHOST=str(self.socket))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    services.install()
    folder = tmp_path_factory.mktemp("compose")
    for name in ("bin", "data", "backup"):
        (folder / name).mkdir()
    (folder / "bin" / "docker").write_text(DOCKER)
    (folder / "bin" / "docker").chmod(0o755)
    (folder / "manage.py").symlink_to(said.ROOT / "manage.py")
    with services.postgres() as url:
        socket = Path(url.split("@")[1].split("/")[0].replace("%2F", "/"))
        product = Product(folder / "data", DATABASE_URL=url.removesuffix("/postgres") + "/sandboxes")
        made = Server(folder, socket, product)
        try:
            yield made
        finally:
            product.sweep()
            product.engine.close()


@pytest.fixture(scope="module")
def values(server: Server) -> Path:
    """The file `.env`; compose itself, the block's last line, is not run."""
    script = said.block("how-to/production.md", "sh", "openssl rand")
    assert script.splitlines()[-1].startswith("docker compose up -d --build")
    server.run("\n".join(script.splitlines()[:-1]))
    return server.folder / ".env"


def test_the_four_values_of_compose_are_made_and_are_nobody_elses_to_read(values: Path):
    assert values.stat().st_mode & 0o077 == 0
    given = dict(line.split("=") for line in values.read_text().splitlines())
    required = set(said.REQUIRED.findall((said.ROOT / "compose.yaml").read_text()))
    assert set(given) == required
    assert [name for name, value in given.items() if len(value) != 64] == ["DOCKER_GID"]


@pytest.fixture(scope="module")
def made(server: Server, values: Path) -> None:
    """A backup."""
    server.run("createuser -U postgres -s sandboxes; createdb -U postgres -O sandboxes sandboxes")
    server.product.manage("shell", "-v", "0", "-c", f"{BOOTSTRAP}{CAST}{SEAL}")
    (server.product.data / "audit_head.json").write_text("of a moment later")
    server.run(said.block(PAGE, "sh", "pg_dump"))


def test_a_dump_and_the_data_are_nobody_elses_to_read(server: Server, made: None):
    names = {path.name for path in server.copy.iterdir()}
    assert names == {"sandboxes.dump", "data.tar.gz", "env"}
    assert {path.stat().st_mode & 0o077 for path in (server.copy, *server.copy.iterdir())} == {0}


def test_the_trial_has_everything_says_that_all_is_well_and_leaves_no_database(server: Server, made: None):
    trial, last = said.block(PAGE, "sh", "pg_restore").rstrip().rsplit("\n", 1)
    assert "The trail is whole" in server.run(trial)
    assert {"./audit_key", "./audit_head.json"} & {*(server.copy / "data.list").read_text().split()} == {
        "./audit_key"
    }
    assert tables(server, "try") == tables(server, "sandboxes")
    server.run(last)
    assert "try" not in server.run("psql -U postgres -Atc 'SELECT datname FROM pg_database' postgres").split()


def tables(server: Server, database: str) -> list[str]:
    """What a database has of people, images and groups, and which tables and triggers there are."""
    kept = ("SELECT username, password FROM sandboxes_user ORDER BY 1",
            "SELECT reference FROM sandboxes_image ORDER BY 1",
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'i', 'S') AND relname !~ '^pg_' ORDER BY 1",
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1")  # fmt: skip
    return [server.run(f'psql -U postgres -Atc "{sql}" {database}') for sql in kept]
