"""What the docs say is what the code does."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from sandboxes.lifecycle.transitions import TABLE
from scripts import events_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])


def rows(page: str) -> list[list[str]]:
    """The cells of all tables of a page."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_the_actions_page_is_the_transition_table():
    written = {tuple(row) for row in rows("reference/actions.md")[2:]}
    for row in TABLE.values():
        sources = ", ".join(sorted(row.sources))
        asks = "yes" if row.hurts else "no"
        assert (row.action, sources, str(row.target or "unchanged"), asks) in written
    assert len(written) == len(TABLE)


def test_every_setting_is_on_the_settings_page_and_the_other_way_round():
    code = (ROOT / "sandboxes/settings.py").read_text()
    read = set(re.findall(r'env\.(?:text|flag|number|whole|size|listed|url)\(\s*"([A-Z_]+)"', code))
    secrets = set(re.findall(r'env\.(?:given|secret|key)\(\s*"([A-Z_]+)"', code))
    read |= secrets | {f"{name}_FILE" for name in secrets}
    written = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/reference/settings.md").read_text(), re.M))
    elsewhere = {"DOCKER_HOST", "SANDBOX_INSTALL_ENGINE", "SANDBOX_PYTHON", "SANDBOX_BUSYBOX"}
    assert read == written - elsewhere


def test_every_command_of_ours_is_on_the_commands_page():
    ours = {name for name, app in get_commands().items() if app in ("sandboxes", "sandboxes.labs")}
    text = (ROOT / "docs/reference/management-commands.md").read_text()
    assert ours == set(re.findall(r"manage\.py ([a-z_]+)", text))


@pytest.mark.parametrize("doc", PAGES, ids=lambda doc: doc.name)
def test_every_link_between_pages_leads_somewhere(doc):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", doc.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (doc.parent / target).exists(), f"{doc.name} links to {target}"


def test_the_events_page_is_what_the_registry_says():
    assert events_page.PAGE.read_text() == events_page.page(), "say: python -m scripts.events_page"
