"""The catalogue in an open page follows what happens to it elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import Product

ADD = """
from sandboxes.models import Image
Image.objects.create(reference="localhost:9/nothing/here:1", title="Nowhere", pids=64)
"""
DROP = "from sandboxes.models import Image; Image.objects.filter(title='Nowhere').delete()"

pytestmark = pytest.mark.usefixtures("nowhere")


@pytest.fixture(scope="module")
def nowhere(product: Product) -> Iterator[None]:
    """An image with limits of its own that no registry has."""
    product.tell(ADD)
    yield
    product.tell(DROP)


def test_a_pull_begun_elsewhere_shows_by_itself(visit: Callable[..., Page]) -> None:
    watching, doing = visit("alice"), visit("prof")
    watching.goto("/images/")
    doing.goto("/images/")
    card = watching.locator(".image", has_text="localhost:9/nothing/here:1")
    expect(card).to_contain_text("not here")
    expect(card.locator(".error")).to_have_count(0)
    doing.locator(".image", has_text="localhost:9/nothing/here:1").get_by_role(
        "button", name="Pull now"
    ).click()
    expect(card.locator(".error")).to_be_visible()


def test_picking_an_image_shows_its_own_limits(alice: Page) -> None:
    alice.goto("/sandboxes/new/")
    processes = alice.locator('[data-fill="pids"]')
    memory = alice.locator("[data-takes-memory]")
    before = processes.get_attribute("placeholder")
    alice.locator(".option", has_text="Nowhere").click()
    expect(processes).to_have_attribute("placeholder", "64")
    assert before != "64"
    expect(alice.locator("[data-takes-ready]")).to_contain_text("pulled first")
    alice.get_by_label("Memory", exact=True).fill("1.5g")
    expect(memory).to_have_text("1.5 GB")
