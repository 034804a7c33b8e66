"""What test_seat has others do at a seat, as code for `manage.py shell`; and how a seat lies on a phone."""

from __future__ import annotations

from playwright.sync_api import Page

COURSE = """
from sandboxes.labs import samples
from sandboxes.labs.models import Course, Enrollment
from sandboxes.models import User
course = samples.make(User.objects.get(username="prof"))
for name in ("alice", "bob"):
    Enrollment.objects.create(course=course, user=User.objects.get(username=name), name=name.title())
"""
LAB = """
from datetime import timedelta
from django.utils import timezone
from sandboxes.labs import opening
from sandboxes.labs.models import LabTemplate
from sandboxes.lifecycle import audit
version = LabTemplate.objects.get(title="Shell basics").published
lab = opening.make(version, "Shell basics", closes_at=timezone.now() + timedelta(minutes=40), by=audit.SYSTEM)
{then}
print(lab.pk)
"""
OPEN = "opening.open_lab(lab, audit.SYSTEM)"
ASK = """
from django.utils import timezone
from sandboxes.labs import trail
from sandboxes.labs.models import Message, Seat
from sandboxes.models import User
seat = Seat.objects.select_related("lab", "enrollment").get(lab="{lab}", enrollment__user__username="alice")
prof = User.objects.get(username="prof")
Seat.objects.filter(pk=seat.pk).update(typing_asked_by=prof, changed_at=timezone.now())
Message.objects.create(lab=seat.lab, by_name="Prof", text="Look up, please.")
trail.nudge(seat)
"""
PUT = """
from sandboxes.labs import trail
from sandboxes.labs.models import Seat
Seat.objects.filter(pk="{seat}").update(status="{status}")
seat = Seat.objects.get(pk="{seat}")
"""
TELL = """
from sandboxes.labs import trail
from sandboxes.labs.models import Lab
trail.tell(Lab.objects.get(pk="{lab}"), "{text}", "Prof")
"""
EYES_UP = """
from sandboxes.labs import broadcast
from sandboxes.labs.models import Lab
from sandboxes.lifecycle.audit import Origin
from sandboxes.models import User
lab = Lab.objects.get(pk="{lab}")
broadcast.act(lab, "pause", Origin.of(User.objects.get(username="prof")), lab.seats.filter(status="ready"))
"""
CLOSE = """
from sandboxes.labs import closing
from sandboxes.labs.models import Lab
from sandboxes.lifecycle import audit
closing.begin(Lab.objects.get(pk="{lab}"), audit.SYSTEM, "Prof")
"""
CLOSE_SOON = CLOSE.replace('"Prof")', '"Prof", {minutes})')
TYPING = "from sandboxes.labs.models import Course; Course.objects.update(typing='{}')"
STILL = """
((real) => { setInterval = (act, ms, ...more) => (ms >= 10000 ? 0 : real(act, ms, ...more)); })(setInterval);
Math.random = () => 0.999;
"""  # no look by itself, and the list as late as can be


def is_stacked(page: Page) -> bool:
    """The sheet above the terminal, each as wide as the window lets it, and nothing beyond its edge."""
    sheet, terminal = (page.locator(one).bounding_box() for one in ("#seat-sheet", "#terminal"))
    assert sheet
    assert terminal
    wide = page.evaluate("document.documentElement.scrollWidth")
    return bool(
        sheet["y"] + sheet["height"] <= terminal["y"]
        and min(sheet["width"], terminal["width"]) > 340
        and wide <= 390
    )


def places(page: Page) -> list[object]:
    """Where sheet and terminal are in windows of several widths, and whether what is said covers them."""
    before, found = page.viewport_size, []
    for width in (768, 959, 960, 1024, 1280, 1343, 1344, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        found.append((width, page.evaluate(PLACES)))
    assert before
    page.set_viewport_size(before)
    return found


def begins(page: Page) -> float:
    """How far down the sheet begins on a phone."""
    before = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 800})
    found: float = page.evaluate("document.querySelector('#seat-sheet').getBoundingClientRect().top")
    assert before
    page.set_viewport_size(before)
    return found


PLACES = """() => {
    const box = (name) => document.querySelector(name).getBoundingClientRect();
    const all = ["#seat-sheet", "#terminal", ".terminal-screen"].map(box);
    const free = Math.min(...all.map(({ top }) => top)) - box(".seat-watch").bottom;
    const beyond = document.documentElement.scrollHeight - innerHeight;
    return [all.map(({ x, y, width, height }) => [x, y, width, height]), free > 0, beyond <= 0];
}"""
