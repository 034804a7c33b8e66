"""A seat on the real engine: Run types, steps, a hand, typing after a yes, starting over, waiting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.product import Product, running
from tests.browser.room import Room, wait_for
from tests.browser.seat_deeds import (
    ASK,
    CLOSE,
    CLOSE_SOON,
    COURSE,
    EYES_UP,
    LAB,
    OPEN,
    PUT,
    STILL,
    TELL,
    TYPING,
    begins,
    is_stacked,
    places,
)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """An install with a course, alice and bob in it."""
    with running(tmp_path_factory.mktemp("seat")) as made:
        tell(made, COURSE)
        yield made


def tell(product: Product, code: str) -> str:
    return product.tell(code).strip()


def take_seat(page: Page, lab: str) -> Room:
    page.goto(f"/labs/{lab}/seat/")
    page.wait_for_url("**/seats/**")
    return Room(page, "").ready()


def heard(page: Page) -> tuple[list[str], list[str]]:
    """The parts that the page will ask for, and the changes that its seat's socket will tell of."""
    asked: list[str] = []
    changes: list[str] = []

    def hear(socket: WebSocket) -> None:
        if "/ws/seats/" in socket.url or re.search(r"/ws/sandboxes/\w+/$", socket.url):
            socket.on(
                "framereceived", lambda data: changes.append(str(data)) if "changed" in str(data) else None
            )

    page.on("websocket", hear)
    page.on("request", lambda request: asked.append(request.url) if "/part/" in request.url else None)
    return asked, changes


def run(page: Page, text: str) -> None:
    page.locator(".snippet", has_text=text).locator("[data-run]").locator("visible=true").first.click()


def test_an_hour_at_a_seat(product: Product, visit: Callable[..., Page]) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    page = visit("alice")
    room = take_seat(page, lab)
    run(page, "ls -l")
    room.sees("names.txt")
    room.run("echo made-here > mine.txt")
    page.get_by_role("button", name="Done, next step").locator("visible=true").click()
    expect(page.locator("#seat-header")).to_contain_text("step 2 of")
    expect(page.locator("#seat-sheet > header")).to_contain_text("1 of")
    page.get_by_text("Raise hand").first.click()
    page.get_by_label("What is it about?").fill("no such file")
    page.get_by_role("button", name="Raise hand").click()
    expect(page.locator("#seat-hand summary")).to_contain_text("Hand is up")
    assert (
        tell(product, "from sandboxes.labs.models import Hand; print(Hand.objects.get().text)")
        == "no such file"
    )
    start_over(page, room)
    expect(page.locator("#seat-header")).to_contain_text("step 2 of")


def start_over(page: Page, room: Room) -> None:
    """What was made is gone, the starting files are back; the waiting page becomes the terminal by itself."""
    before = room.terminal.get_attribute("sandbox")
    page.get_by_role("button", name="Start over").click()
    page.get_by_role("dialog").get_by_role("button", name="Start over").click()
    wait_for(lambda: other(page, before), "no other sandbox came", page=page)
    room.ready()
    room.run("ls; echo en''d")
    room.sees("\nend")
    assert "names.txt" in room.text()
    assert "mine.txt" not in room.text()


def other(page: Page, before: str | None) -> bool:
    now = page.locator("sandbox-terminal")
    return now.count() == 1 and now.get_attribute("sandbox") != before


def test_staff_who_look_are_named_and_type_only_after_a_yes(
    product: Product, visit: Callable[..., Page]
) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    page, prof = visit("alice"), visit("prof")
    room = take_seat(page, lab)
    before, on_a_phone = places(page), begins(page)
    prof.goto(f"/sandboxes/{room.terminal.get_attribute('sandbox')}/")
    theirs = Room(prof, "").ready()
    expect(page.locator("[data-watchers]")).to_have_text("prof is looking at your terminal.")
    assert begins(page) == on_a_phone
    tell(product, ASK.format(lab=lab))
    expect(page.locator("#toasts")).to_contain_text("Prof: Look up, please.")
    expect(page.locator("#seat-watch")).to_contain_text("would like to type")
    expect(page.locator("#seat-messages summary")).to_contain_text("Messages 1")
    assert places(page) == before  # what is said of them moves nothing and covers nothing
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#seat-watch")).to_contain_text("may type in your terminal")
    wait_for(
        lambda: "only watch" not in theirs.terminal.inner_text(), "a yes did not come through", page=prof
    )
    theirs.run("echo from-pro''f")
    room.sees("\nfrom-prof")
    page.get_by_role("button", name="End typing").click()
    expect(theirs.terminal).to_contain_text("you only watch")


def test_without_asking_staff_begin_with_a_click_and_either_side_ends_it(
    product: Product, visit: Callable[..., Page]
) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    page, prof = visit("alice"), visit("prof")
    room = take_seat(page, lab)
    expect(page.locator("#seat-told")).to_contain_text("only after your yes")
    tell(product, TYPING.format("free"))
    expect(page.locator("#seat-told")).to_contain_text("They may also type in it", timeout=30_000)
    prof.goto(f"{page.url}look/")
    theirs = Room(prof, "").ready()
    for ends in (
        page.get_by_role("button", name="End typing"),
        prof.get_by_role("button", name="Stop typing"),
    ):
        expect(theirs.terminal).to_contain_text("you only watch")
        prof.get_by_role("button", name="Begin typing").click()
        expect(page.locator("#seat-watch")).to_contain_text("may type in your terminal")
        expect(theirs.terminal).not_to_contain_text("you only watch")
        theirs.run("echo from-pro''f")
        wait_for(lambda: "\nfrom-prof" in room.text(), "nothing was typed", page=page)
        room.run("clear")
        wait_for(lambda: "from-prof" not in room.text(), "nothing was cleared", page=page)
        ends.click()
        expect(page.locator("#seat-watch")).not_to_contain_text("may type")
    expect(theirs.terminal).to_contain_text("you only watch")
    tell(product, TYPING.format("ask"))


def test_who_looks_is_named_in_whichever_tab_the_student_is(
    product: Product, visit: Callable[..., Page]
) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    page, prof = visit("alice"), visit("prof")
    room = take_seat(page, lab)
    room.button("New terminal").click()
    expect(page.locator("#tab-two")).to_have_attribute("aria-selected", "true")
    room.ready()
    expect(page.locator("[data-watchers]")).to_be_hidden()
    prof.goto(f"/sandboxes/{room.terminal.get_attribute('sandbox')}/")
    Room(prof, "").ready()
    expect(prof.locator("#tab-main")).to_have_attribute("aria-selected", "true")
    expect(page.locator("[data-watchers]")).to_have_text("prof is looking at your terminal.")
    prof.goto("/sandboxes/")
    expect(page.locator("[data-watchers]")).to_be_hidden()


def test_a_message_is_shown_from_its_frame_and_asks_the_server_for_nothing(
    product: Product, visit: Callable[..., Page]
) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    page = visit("alice")
    page.add_init_script(STILL)
    asked, changes = heard(page)
    take_seat(page, lab)
    expect(page.locator('lab-seat > link-state[data-state="open"]')).to_be_attached()
    asked.clear()
    page.route("**/part/messages/", lambda route: route.fulfill(status=204))
    for number in (1, 2, 3):
        tell(product, TELL.format(lab=lab, text=f"Step <b>{number}</b>, please."))
        expect(page.locator("#toasts")).to_contain_text(f"Prof: Step <b>{number}</b>, please.")
        page.wait_for_timeout(300)  # what a page fetches after a nudge it fetches by now
    others = [one for one in asked if "messages" not in one]
    assert len(others) <= 2 * len(changes), others  # each change of the seat asks for header and stage, once
    expect(page.locator("#seat-messages summary")).to_contain_text("Messages 3")
    page.unroute("**/part/messages/")
    page.locator("#seat-messages summary").click()
    expect(page.locator("#seat-messages [data-text]")).to_have_text(
        [f"Step <b>{n}</b>, please." for n in (3, 2, 1)]
    )
    tell(product, TELL.format(lab=lab, text="One more."))
    expect(page.locator("#seat-messages [data-text]").first).to_have_text("One more.")
    expect(page.locator("#seat-messages")).to_have_attribute("open", "")


def test_who_is_early_waits_and_is_led_to_the_seat(product: Product, visit: Callable[..., Page]) -> None:
    lab = tell(product, LAB.format(then=""))
    page = visit("bob")
    page.goto(f"/labs/{lab}/seat/")
    expect(page.get_by_role("heading", name="It has not begun yet")).to_be_visible()
    open_it = "from sandboxes.labs import opening; from sandboxes.labs.models import Lab; "
    open_it += "from sandboxes.lifecycle import audit; "
    tell(product, f"{open_it}opening.open_lab(Lab.objects.get(pk='{lab}'), audit.SYSTEM)")
    page.wait_for_url("**/seats/**")
    Room(page, "").ready()


def test_who_waits_asks_seldom_and_is_told_at_once(product: Product, visit: Callable[..., Page]) -> None:
    """A room full of people waits at the same time: with a socket nobody asks again every two seconds."""
    page = visit("alice")
    take_seat(page, tell(product, LAB.format(then=OPEN)))
    seat = page.url.rstrip("/").rsplit("/", 1)[1]
    tell(product, PUT.format(seat=seat, status="saving"))
    asked, changes = heard(page)
    page.reload()
    expect(page.locator("#seat-wait")).to_contain_text("Your files are being saved")
    page.wait_for_timeout(7000)
    # the opening of its socket and each change (a terminal that was left is one) ask once, and so may time
    assert len(changes) <= 2
    assert len([one for one in asked if "/part/wait/" in one]) <= 1 + len(changes) + 1, asked
    tell(product, PUT.format(seat=seat, status="ready") + "trail.nudge(seat)")
    expect(page.locator("#terminal")).to_be_visible()


def test_what_was_said_of_the_end_is_replaced_and_goes_when_it_is_there(
    product: Product, visit: Callable[..., Page]
) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    page = visit("alice")
    take_seat(page, lab)
    seat = page.url.rstrip("/").rsplit("/", 1)[1]
    note = page.locator(".toast", has_text="Prof closes this lab in")
    for minutes in (2, 1):
        tell(product, CLOSE_SOON.format(lab=lab, minutes=minutes))
        expect(note).to_have_text(re.compile(f"in {minutes} min"))
        note.dispatch_event("pointerenter")  # so that it goes for no other reason
    for status, heading in (("saving", "The lab is closing"), ("closed", "This lab is closed")):
        tell(product, PUT.format(seat=seat, status=status) + "trail.nudge(seat)")
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(note).to_have_count(0)


def test_on_a_phone_the_sheet_is_above_and_the_keys_it_lacks_are_there(
    product: Product, visit: Callable[..., Page]
) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    page = visit("alice", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    room = take_seat(page, lab)
    assert is_stacked(page)
    room.run("od -An -tx1 | tr -d ' \\n'")
    for name in ("Esc", "Tab", "Left", "Up", "Down", "Right"):
        room.button(name).tap()
    page.keyboard.press("Enter")
    room.button("Ctrl").tap()
    expect(room.button("Ctrl")).to_have_attribute("aria-pressed", "true")
    page.keyboard.type("d")
    room.sees("1b091b5b441b5b411b5b421b5b430a")
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("#terminal")).not_to_be_in_viewport(ratio=0.5)
    run(page, "ls -l")
    room.sees("names.txt")
    expect(page.locator("#terminal")).to_be_in_viewport(ratio=0.7)
    what_concerns_them_is_seen(product, page, lab)


def what_concerns_them_is_seen(product: Product, page: Page, lab: str) -> None:
    """A question while the terminal is looked at, eyes up while the sheet is, and where the files are."""
    tell(product, ASK.format(lab=lab))
    expect(page.get_by_role("button", name="Yes")).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.locator("#seat-watch")).not_to_contain_text("would like to type")
    page.evaluate("scrollTo(0, 0)")
    buttons = page.locator(".seat-head > .row .button:visible")
    expect(buttons).to_have_text([re.compile("Messages"), "Raise hand", re.compile("Start over")])
    assert len({button.bounding_box()["y"] for button in buttons.all()}) == 1, "in one line"
    tell(product, EYES_UP.format(lab=lab))
    expect(page.get_by_text("Eyes up.")).to_be_in_viewport(ratio=1)
    tell(product, CLOSE.format(lab=lab))
    expect(page.get_by_role("heading", name="This lab is closed")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("link", name="Download your files")).to_be_in_viewport(ratio=1)
    expect(page.locator("#toasts")).to_be_empty()


def test_the_bar_between_is_moved_by_keys_and_remembered(
    product: Product, visit: Callable[..., Page]
) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    page = visit("bob")
    take_seat(page, lab)
    bar = page.get_by_role("separator", name="Width of the sheet")
    bar.press("End")
    expect(bar).to_have_attribute("aria-valuenow", "70")
    bar.press("ArrowLeft")
    page.reload()
    expect(bar).to_have_attribute("aria-valuenow", "68")
    assert page.locator("#seat-sheet").bounding_box()["width"] > 700


def test_without_a_script_steps_hand_and_starting_over_work(
    product: Product, visit: Callable[..., Page]
) -> None:
    lab = tell(product, LAB.format(then=OPEN))
    take_seat(visit("alice"), lab)
    page = visit("alice", java_script_enabled=False)
    page.goto(f"/labs/{lab}/seat/")
    page.get_by_role("button", name="Done, next step").locator("visible=true").click()
    expect(page.locator("#seat-header")).to_contain_text("step 2 of")
    page.locator("#seat-hand summary").click()
    page.get_by_role("button", name="Raise hand").click()
    expect(page.locator("#seat-hand summary")).to_contain_text("Hand is up")
    page.get_by_role("button", name="Start over").click()
    expect(page.get_by_role("heading", name="Start over?")).to_be_visible()
    page.get_by_role("link", name="Keep what I have").click()
    expect(page.locator("#seat-header")).to_be_visible()
