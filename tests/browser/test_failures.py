"""What went wrong is said in words that help; the engine's own words are for staff."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import Product
from tests.browser.room import found

REFERENCE = "localhost:9/lab/database:1"  # nothing listens there
ENGINES = re.compile(r"dial tcp|connection refused|Error response|/v2/|lookup |docker\.sock|Traceback", re.I)


@pytest.fixture(scope="module")
def broken_image(product: Product) -> Iterator[None]:
    """An image in the catalogue that no registry has."""
    one = f"Image.objects.{{}}(reference={REFERENCE!r}"
    start = "from sandboxes.models import Image, Sandbox; "
    product.tell(start + one.format("create") + ", title='Database lab')")
    yield
    product.tell(start + one.format("filter") + ").update(enabled=False)")


@pytest.fixture
def failed(alice: Page, broken_image: None) -> str:
    """Alice has launched it, and sees how it went; the id."""
    alice.goto("/sandboxes/new/")
    alice.locator(".option", has_text="Database lab").click()
    expect(alice.locator("[data-takes-ready]")).to_contain_text("pulled first")
    alice.get_by_role("button", name="Launch", exact=True).click()
    expect(alice.locator("#room-header .badge")).to_contain_text("failed", timeout=30_000)
    return found(r"/sandboxes/(sb_\w+)/", alice.url)


def test_failed_launch_says_why_and_what_to_do(alice: Page, failed: str, product: Product) -> None:
    stage = alice.locator("#room-stage")
    expect(stage).to_contain_text("It did not start")
    expect(stage).to_contain_text("registry cannot be reached")
    expect(stage.get_by_role("button", name="Try again")).to_be_visible()
    expect(stage.get_by_role("link", name="Choose another image")).to_be_visible()
    expect(alice.locator("sandbox-terminal")).to_be_hidden()
    assert f"sandbox-{failed}" not in product.names()
    stage.get_by_role("button", name="Try again").click()
    expect(alice.locator("#room-timeline")).to_contain_text("start")
    expect(alice.locator("#room-header .badge")).to_contain_text("failed", timeout=30_000)


def test_engine_text_is_for_staff_only(alice: Page, failed: str, visit: Callable[..., Page]) -> None:
    for path in (f"/sandboxes/{failed}/", "/sandboxes/", "/images/"):
        alice.goto(path)
        assert not ENGINES.search(alice.content()), path
    prof = visit("prof")
    prof.goto(f"/sandboxes/{failed}/")
    prof.get_by_text("What the engine said").click()
    assert ENGINES.search(prof.locator("#room-stage").inner_text())


def test_launch_form_follows_the_image_that_is_picked(alice: Page, broken_image: None) -> None:
    alice.goto("/sandboxes/new/")
    takes = alice.locator("[data-takes-memory]")
    alice.locator(".option", has_text="Starter").click()
    expect(alice.locator("[data-takes-ready]")).to_contain_text("about a second")
    before = takes.inner_text()
    alice.get_by_label("Memory", exact=True).fill("1.5g")
    expect(takes).to_have_text("1.5 GB")
    bar = alice.locator("[data-takes-progress]")
    assert float(bar.get_attribute("value") or 0) >= 1.5 * 2**30
    alice.get_by_label("Memory", exact=True).fill("")
    expect(takes).to_have_text(before)
    alice.get_by_label("Memory", exact=True).fill("plenty")
    expect(takes).to_have_text("?")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("Memory", "1m", "at least"),
        ("Memory", "900g", "at most|more than"),
        ("CPUs", "0", "at least|more than"),
        ("Lifetime", "0", "at least|more than"),
        ("Name", "a" * 300, "most|long"),
    ],
)
def test_wrong_input_is_refused_at_its_field(
    alice: Page, complaints: Any, product: Product, field: str, value: str, words: str
) -> None:
    complaints.expect("status of 422")
    before = product.names()
    alice.goto("/sandboxes/new/")
    box = alice.get_by_label(field, exact=True)
    box.evaluate("(box, text) => { box.removeAttribute('maxlength'); box.value = text; }", value)
    alice.get_by_role("button", name="Launch", exact=True).click()
    expect(box).to_have_attribute("aria-invalid", "true")
    error = alice.locator(f"#{box.get_attribute('aria-describedby')}")
    assert re.search(words, error.inner_text(), re.I), error.inner_text()
    expect(box).to_have_value(value)  # what was typed is still there
    assert product.names() == before
