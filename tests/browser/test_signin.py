"""The way in: by a link that is good once, or with a password; and the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.product import PASSWORD, Product
from tests.browser.room import Room


def test_link_signs_in_once(product: Product, visit: Callable[..., Page], complaints: Any) -> None:
    complaints.expect("status of 410")  # the second time
    link = product.manage("signin_link", "bob", "--base-url", product.url).strip()
    page = visit(None)
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/sandboxes/")
    expect(page.locator(".bar")).to_contain_text("bob")
    other = visit(None)
    other.goto(link)
    expect(other.get_by_role("heading")).to_have_text("This link does not work any more")


def test_a_name_and_a_password_sign_in(visit: Callable[..., Page]) -> None:
    page = visit(None)
    page.goto("/sign-in/")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/sandboxes/")
    expect(page.locator(".bar")).to_contain_text("alice")


def test_sign_out_closes_the_terminal_too(room: Room) -> None:
    """In another tab of the same browser; the page that stays open must not go on typing."""
    other = room.page.context.new_page()
    other.goto("/sandboxes/")
    other.locator(".bar summary").click()
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/sign-in/")
    expect(room.terminal).not_to_have_attribute("state", "open")


def test_theme_is_chosen_and_kept(alice: Page) -> None:
    alice.locator(".bar summary").click()
    alice.get_by_role("button", name="Dark").click()
    expect(alice.locator("html")).to_have_attribute("data-theme", "dark")
    alice.reload()
    expect(alice.locator("html")).to_have_attribute("data-theme", "dark")
    assert alice.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 16, 20)"
    alice.locator(".bar summary").click()
    expect(alice.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    alice.keyboard.press("Escape")
    expect(alice.locator(".bar .menu")).not_to_have_attribute("open", "")
