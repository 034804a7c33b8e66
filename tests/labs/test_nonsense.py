"""Nonsense in what is sent to teaching's pages is a page, never a fault; on PostgreSQL too."""

from __future__ import annotations

import pytest
from django.urls import reverse

from sandboxes.labs import roster, roster_lines
from tests.pages.conftest import browser
from tests.pages.test_robust import send, wire

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("value", ["\x00", "9" * 5000], ids=["nul", "long"])
def test_nonsense_is_no_fault(open_lab, course, template, ines, value):
    roster.keep(course, ines, roster_lines.read("name,email\nCleo,cleo@example.org\n"))
    client, bad = browser(ines), wire(value)
    for path, data in (
        (reverse("roster_preview", args=[course.pk]), {"remove": bad, "theirs": bad}),
        (reverse("lab_act", args=[open_lab.pk, "retry"]), {"seat": bad}),
        (reverse("to_many", args=[open_lab.pk]), {"do": "message", "all": "1", "section": bad, "text": "x"}),
        (reverse("to_many", args=[open_lab.pk]), {"do": "message", "seat": bad, "text": "x"}),
        (reverse("template_preview", args=[course.pk]), {"template": bad, "sheet": "x"}),
        (reverse("template_act", args=[template.pk, "clone"]), {"course": bad}),
    ):
        assert send(client, path, data).status_code < 500, path
