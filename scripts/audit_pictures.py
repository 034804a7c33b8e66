"""Takes the pictures of the auditor's how-to: a made-up afternoon in the real product, in a real browser.

    python -m scripts.audit_pictures [--out FOLDER]

Everything it starts is gone afterwards.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from scripts.screenshots import NARROW, ROOT, Studio, studio
from tests.browser.product import PASSWORD

TRAIL = "/admin/sandboxes/event/"
AFTERNOON = f"""
from datetime import timedelta
from django.contrib.auth.models import Permission
from django.utils import timezone
from bench.audit import rows
from sandboxes.lifecycle import audit, chain
from sandboxes.models import Delivery, Event, User, Webhook

audra = User.objects.create_user("audra", password={PASSWORD!r}, is_staff=True, is_superuser=True)
now = timezone.now()
told = list(rows(1400, now))
for number, event in enumerate(told):
    share = (number / len(told)) ** 0.7
    event.at = now - timedelta(hours=5) + timedelta(seconds=share * 16000 + (number % 13) * 40)
Event.objects.bulk_create(sorted(told, key=lambda one: one.at))
student = audit.Origin("user", 12, "student011", "192.0.2.11", user_agent="Firefox", request_id="9f41c2")
course = audit.Place("crs_00000003", "Unix", "student")
audit.record("sandbox.view", student, outcome="refused", reason="That sandbox is not yours.",
             detail={{"path": "/sandboxes/sb_7kd2mq84wz/"}}, place=course, operation="")
root = audit.Origin("user", 3, "root", "192.0.2.250", "superuser", user_agent="Firefox")
audit.record("user.change", root, target=audit.Target("user", "12", "student011"),
             changes={{"is_staff": [True, False], "quota_sandboxes": [20, 3]}})
chain.seal(full=True)
hook = Webhook.objects.create(name="siem", url="https://siem.example.org/", actions="sandbox.*\\n*:refused")
for number, event in enumerate(Event.objects.order_by("-id")[:6]):
    Delivery.objects.create(webhook=hook, event_id=event.pk, number=event.pk, action=event.action,
                            state="delivered", attempts=1, status=204, duration=41 + number)
"""


def take_all(one: Studio) -> None:
    """The list, a refusal, what changed, a phone, a webhook."""
    page = one.page("audra")
    page.goto(TRAIL)
    one.take(page, "audit-list")
    page.goto(f"{TRAIL}?who=student011&outcome=refused")
    page.locator(".audit-what a").first.click()
    expect(page.locator(".audit-lead")).to_be_visible()
    one.take(page, "audit-event", dark=False)
    page.goto(f"{TRAIL}?action=user.change&who=root")
    page.locator(".audit-what a").first.click()
    one.take(page, "audit-change", dark=False)
    page.goto("/admin/sandboxes/webhook/")
    page.get_by_role("link", name="siem").click()
    one.take(page, "audit-webhook", dark=False)
    take_phone(one.page("audra", NARROW, has_touch=True, is_mobile=True, device_scale_factor=2), one)


def take_phone(phone: Page, one: Studio) -> None:
    """The events themselves, under the form."""
    phone.goto(f"{TRAIL}?who=student011")
    phone.locator("#audit-count").scroll_into_view_if_needed()
    phone.evaluate("document.querySelector('#audit-count').scrollIntoView()")
    one.take(phone, "audit-narrow", dark=False)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="where they go")
    options = parser.parse_args()
    expect.set_options(timeout=30_000)
    with studio(options.out) as one:
        one.product.tell(AFTERNOON)
        take_all(one)
    print(f"audit_pictures: {', '.join(sorted(path.name for path in options.out.glob('audit-*.png')))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
