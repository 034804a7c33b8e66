"""A sandbox that nobody uses, in the browser: warned on list and page, kept by a click or by being open."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.product import Product

WARNED = """
from datetime import timedelta
from django.utils import timezone
from sandboxes.models import Sandbox
now = timezone.now()
used = now - timedelta(minutes=55)
Sandbox.objects.filter(pk={pk!r}).update(
    idle_limit=3600, used_at=used, created_at=used, idle_warned_at=now, changed_at=now
)
"""


def warn(product: Product, sandbox_id: str) -> None:
    """As the loop does after 55 minutes of an hour."""
    product.tell(WARNED.format(pk=sandbox_id))


def test_it_is_warned_on_list_and_page_and_one_click_keeps_it(
    product: Product, visit: Callable[..., Page], launch: Callable[..., str]
) -> None:
    alice = visit("alice", java_script_enabled=False)
    helper = visit("alice")
    sandbox_id = launch(helper, name="left-alone")
    helper.goto("/sandboxes/")  # its own page would keep it alive
    warn(product, sandbox_id)
    expect(helper.locator(f"#row-{sandbox_id}")).to_contain_text("stops in")
    alice.goto(f"/sandboxes/{sandbox_id}/")
    strip = alice.locator("#room-stage .strip")
    expect(strip).to_contain_text("It is stopped in")
    expect(alice.locator("#room-facts")).to_contain_text("Unused for 5")
    strip.get_by_role("button", name="Keep running").click()
    expect(alice.locator("body")).to_contain_text("left-alone has")
    expect(alice.locator("#room-stage .strip")).to_have_count(0)
    expect(alice.locator("#room-facts")).to_contain_text("In use: something was done with it")


def test_an_open_page_takes_the_warning_back(
    product: Product, visit: Callable[..., Page], launch: Callable[..., str]
) -> None:
    page = visit("alice")
    sandbox_id = launch(page, name="looked-at")
    page.goto("/sandboxes/")
    warn(product, sandbox_id)
    page.goto(f"/sandboxes/{sandbox_id}/")
    expect(page.locator("#room-stage .strip")).to_have_count(0, timeout=60_000)
    expect(page.locator("#room-facts")).to_contain_text("In use: ", timeout=60_000)
