"""The auditor: a student's afternoon found, its refusal opened, its terminal replayed, all taken along."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import PASSWORD, Product, running
from tests.browser.room import Room, wait_for
from tests.browser.test_access import CONTRAST, NAMELESS
from tests.browser.test_replay import Replay, always, end

TRAIL = "/admin/sandboxes/event/"
AUDITOR = f"""
from django.contrib.auth.models import Permission
from sandboxes.models import User
user = User.objects.create_user("audra", password={PASSWORD!r}, is_staff=True)
wanted = ("view_event", "view_recording")
user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """An install with somebody who may read the trail and see recordings, and nothing else."""
    with running(tmp_path_factory.mktemp("product"), SANDBOX_RECORDING="optional") as made:
        made.tell(AUDITOR)
        yield made


@pytest.fixture
def afternoon(product: Product, alice: Page, launch: Callable[..., str], complaints: Any) -> str:
    """What alice did: worked in a recorded terminal, and asked for a sandbox that is not hers."""
    always(product)
    room = Room(alice, launch(alice, name="homework-7")).enter()
    room.run("echo first-line")
    room.sees("\nfirst-line\n")
    room.run("printf 'the needle %s\\n' in-a-haystack")
    room.sees("\nthe needle in-a-haystack\n")
    end(room)
    complaints.expect("404")
    alice.goto("/sandboxes/sb_aaaaaaaaaa/")
    return room.id


@pytest.fixture
def auditor(visit: Callable[..., Page], afternoon: str) -> Page:
    """Audra's browser, at the trail."""
    page: Page = visit("audra")
    page.goto(TRAIL)
    return page


def sentences(page: Page) -> list[str]:
    return page.locator(".audit-what a").all_inner_texts()


def only_alice(page: Page) -> None:
    """Fill in the form as a person would."""
    page.locator("#audit-who").fill("alice")
    page.locator("#audit-since").fill("2020-01-01T12:00")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#audit-who")).to_have_value("alice")


def test_a_students_afternoon_is_found_its_refusal_opened_and_its_terminal_replayed(
    auditor: Page, afternoon: str
) -> None:
    only_alice(auditor)
    told = sentences(auditor)
    assert all(one.startswith("alice ") for one in told)
    assert {"alice launched sandbox homework-7", "alice opened terminal main of sandbox homework-7"} <= set(
        told
    )

    refused = auditor.get_by_role("link", name="alice asked to look at a sandbox and was refused")
    refused.first.click()
    expect(auditor.locator("h1")).to_have_text("alice asked to look at a sandbox and was refused")
    expect(auditor.locator(".audit-lead .audit-outcome")).to_have_text("refused")
    expect(auditor.locator(".audit-facts").first).to_contain_text("127.0.0.1")
    auditor.get_by_role("link", name="Trail of alice").click()

    auditor.get_by_role("link", name="alice opened terminal main of sandbox homework-7").first.click()
    auditor.get_by_role("link", name="Replay terminal main").first.click()
    auditor.wait_for_url(re.compile(r"/recordings/rec_\w+/"))
    replay = Replay(auditor).ready()
    replay.search("needle in-a", "1 hit")
    auditor.locator("[data-hit]").click()
    replay.shows("the needle in-a-haystack")

    auditor.goto(f"{TRAIL}?sandbox={afternoon}&who=audra")
    assert "audra replayed terminal main of sandbox homework-7 of alice" in sentences(auditor)


def download(page: Page, button: str, where: Path) -> Path:
    with page.expect_download() as caught:
        page.get_by_role("button", name=button).click()
    path = where / caught.value.suggested_filename
    caught.value.save_as(path)
    return path


def test_what_is_shown_is_taken_along_and_can_be_checked(
    product: Product, auditor: Page, tmp_path: Path
) -> None:
    wait_for(
        lambda: "wait for their seal" not in product.manage("audit", "verify"), "the trail was not sealed"
    )
    only_alice(auditor)
    rows = [json.loads(line) for line in download(auditor, "JSON Lines", tmp_path).read_text().splitlines()]
    assert {row["actor_name"] for row in rows} == {"alice"}
    assert {row["outcome"] for row in rows if row["action"] == "sandbox.view"} == {"refused"}
    table = download(auditor, "CSV", tmp_path).read_text("utf-8-sig").splitlines()
    assert len(table) == len(rows) + 1
    bundle = download(auditor, "Signed bundle", tmp_path)
    said = product.manage("audit", "verify", "--bundle", str(bundle))
    assert f"The bundle is good: {len(rows)} events" in said
    with zipfile.ZipFile(bundle) as file:
        assert {"events.jsonl", "manifest.json", "check.py", "README.txt"} == set(file.namelist())
    auditor.goto(f"{TRAIL}?who=audra&action=audit.export&outcome=ok")
    assert sentences(auditor) == ["audra exported the audit trail"] * 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_trail_can_be_read_by_day_by_night_and_on_a_phone(auditor: Page, scheme: str) -> None:
    auditor.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    auditor.goto(f"{TRAIL}?outcome=refused")
    first = auditor.locator(".audit-what a").first.get_attribute("href")
    for path in (TRAIL, f"{TRAIL}?outcome=refused", first):
        auditor.goto(path)
        tree = auditor.locator("#content-start").aria_snapshot()
        assert not NAMELESS.search(tree), (path, tree)
        assert auditor.locator("h1").count() == 1, path
        assert auditor.evaluate(CONTRAST) == [], path
        auditor.set_viewport_size({"width": 400, "height": 860})
        wide = auditor.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
        auditor.set_viewport_size({"width": 1280, "height": 900})


def test_a_bar_of_the_chart_leads_to_its_hour(auditor: Page) -> None:
    bars = auditor.locator(".audit-timeline svg a")
    expect(auditor.locator(".audit-timeline desc")).to_contain_text("refused or failed")
    bars.last.locator("rect.hit").click()
    expect(auditor.locator("#audit-since")).not_to_have_value("")
    assert sentences(auditor)
