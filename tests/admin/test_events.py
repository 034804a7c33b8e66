"""The auditor's list and pages: who gets in, what is found, what is said, and that nothing is changed."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils.html import escape

from sandboxes.lifecycle import audit, chain
from sandboxes.models import Event, Outcome, Sandbox, User

pytestmark = pytest.mark.django_db
LIST = "/admin/sandboxes/event/"
NOON = datetime(2025, 3, 7, 12, tzinfo=UTC)
ALICE = audit.Origin("user", 7, "alice", "192.0.2.7", user_agent="Firefox", request_id="req-1")
BOB = audit.Origin("user", 8, "bob", "2001:db8::7")
TARGET = audit.Target("user", "7", "alice")
WEB = audit.Place("crs_abcdefghij", "Web 1", "student")


def page_of(event):
    return reverse("admin:sandboxes_event_change", args=[event.pk])


@pytest.fixture
def trail(running):
    """Five events that differ in everything one can filter by."""
    told = (
        ("sandbox.pause", ALICE, {"sandbox": running, "outcome": Outcome.REQUESTED, "operation": "op-1"}),
        ("sandbox.pause", ALICE, {"sandbox": running, "operation": "op-1", "duration": 41}),
        ("sandbox.view", BOB, {"outcome": Outcome.REFUSED, "reason": "Not yours.", "place": WEB}),
        ("user.change", BOB, {"target": TARGET, "changes": {"email": ["a", "b"]}}),
        ("command.run", ALICE, {"sandbox": running, "outcome": Outcome.FAILED, "detail": {"argv": ["make"]}}),
    )  # fmt: skip
    return [
        audit.record(action, origin, at=NOON + timedelta(hours=number), **facts)
        for number, (action, origin, facts) in enumerate(told)
    ]


def found(client, **asked):
    page = client.get(LIST, {"on": "2025", **asked})
    assert page.status_code == 200
    return [event.pk for event in page.context["page"].events]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"order": "old"}, [0, 1, 2, 3, 4]),
        ({"who": "alice"}, [4, 1, 0]),
        ({"who": "ali"}, []),
        ({"sandbox": "quiet-otter"}, [4, 1, 0]),
        ({"place": "Web 1"}, [2]),
        ({"place": "crs_abcdefghij"}, [2]),
        ({"action": "sandbox.pause"}, [1, 0]),
        ({"outcome": "refused"}, [2]),
        ({"address": "2001:DB8::7"}, [3, 2]),
        ({"on": "2025-03-07T13"}, [1]),
        ({"on": "2025-03-08"}, []),
        ({"since": "2025-03-07T13:00", "until": "2025-03-07T15:00"}, [2, 1]),
        ({"q": "paused"}, [1, 0]),
        ({"q": "make", "who": "alice"}, [4]),
        ({"who": "alice", "outcome": "refused"}, []),
    ],
)
def test_a_filter_finds_its_events(reader, trail, asked, numbers):
    assert found(reader, **asked) == [trail[number].pk for number in numbers]


def test_a_sandbox_is_found_by_its_id(reader, trail, running):
    assert found(reader, sandbox=running.pk) == [trail[number].pk for number in (4, 1, 0)]


@pytest.mark.parametrize(
    "asked",
    [
        {"on": "yesterday"},
        {"on": "2025-02-31"},
        {"since": "noon"},
        {"until": "9999-99-99"},
        {"address": "192.0.2"},
        {"address": "fe80::1%eth0"},
        {"action": "sandbox.fly"},
        {"outcome": "good"},
        {"q": "\"'("},
        {"q": "*"},
        {"q": ".", "outcome": "refused"},
    ],
)
def test_what_is_not_understood_finds_nothing_and_is_said(reader, trail, asked):
    page = reader.get(LIST, asked)
    assert page.context["page"].events == []
    assert escape(f"“{next(iter(asked.values()))}”") in page.content.decode()


def test_twelve_words_are_searched_for_beside_an_outcome(reader, trail):
    asked = {"q": "alice " * 12}
    assert trail[4].pk in found(reader, **asked)
    assert found(reader, **asked, outcome="failed") == [trail[4].pk]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"q": "alice " * 12 + "nobody-of-this-name"}, "these are 13 words. Search for 12 at most."),
        ({"q": "alice " + "x" * 200}, "is longer than 200 characters."),
        ({"who": "alice" * 41}, "is longer than 200 characters."),
    ],
)
def test_nothing_that_was_asked_for_is_dropped_in_silence(reader, trail, asked, said):
    page = reader.get(LIST, asked)
    assert said in page.content.decode()
    assert page.context["page"].events == []


def test_a_parameter_that_is_no_filter_is_said(reader, trail):
    assert "“at__year” is no filter" in reader.get(LIST, {"at__year": "2025"}).content.decode()


def test_the_list_says_what_happened_in_plain_sentences(reader, trail):
    page = reader.get(LIST, {"on": "2025"}).content.decode()
    assert "alice paused sandbox quiet-otter" in page
    assert "bob asked to look at a sandbox and was refused" in escape(page)
    assert "Not yours." in page


def test_text_on_record_is_no_markup(reader):
    audit.record("sandbox.view", audit.Origin("user", 9, "<b>eve</b>"), reason="<script>alert(1)</script>")
    page = reader.get(LIST).content.decode()
    assert "<script>alert(1)" not in page
    assert "<b>eve" not in page


def test_counts_and_refusals_are_of_what_was_asked_for(reader, trail):
    page = reader.get(LIST, {"on": "2025", "who": "bob"})
    assert [(name, count) for name, count, _ in page.context["counts"]] == [
        ("user.change", 1), ("sandbox.view", 1),
    ]  # fmt: skip
    assert [(one.name, one.count) for one in page.context["refusals"]] == [("bob", 1)]


def test_a_bar_of_the_chart_leads_to_its_events(reader, trail):
    line = reader.get(LIST, {"on": "2025"}).context["timeline"]
    assert sum(bar.count for bar in line.bars) == 5
    assert sum(bar.bad for bar in line.bars) == 2
    bar = line.filled[0]
    page = reader.get(f"{LIST}?{bar.query}")
    assert [event.pk for event in page.context["page"].events] == [trail[0].pk]


def test_the_chart_says_in_words_what_it_shows(reader, trail):
    page = reader.get(LIST, {"on": "2025"}).content.decode()
    assert "5 events, 2 of them refused or failed" in page
    assert "As a table" in page


def test_dates_are_walked_from_year_to_hour(reader, trail):
    said = lambda **asked: [step.said for step in reader.get(LIST, asked).context["steps"]]  # noqa: E731
    assert "2025" in said()
    assert said(on="2025")[0] == "March"
    assert said(on="2025-03")[0] == "7"
    assert said(on="2025-03-07")[0] == "12:00"
    assert said(on="2025-03-07T12") == []
    crumbs = reader.get(LIST, {"on": "2025-03-07", "who": "bob"}).context["crumbs"]
    assert [step.said for step in crumbs] == ["All dates", "2025", "March", "7"]
    assert crumbs[1].query == "who=bob&on=2025"


def test_leafing_reaches_every_event_once_and_back(reader):
    for number in range(120):
        audit.record("user.sign_in", BOB, at=NOON + timedelta(seconds=number // 7))
    seen, page = [], reader.get(LIST)
    pages = [page]
    while page.context["page"].on:
        page = reader.get(f"{LIST}?{page.context['page'].on}")
        pages.append(page)
    seen = [event.pk for page in pages for event in page.context["page"].events]
    assert seen == list(Event.objects.order_by("-at", "-id").values_list("pk", flat=True))
    back = reader.get(f"{LIST}?{pages[-1].context['page'].back}").context["page"].events
    assert [event.pk for event in back] == [event.pk for event in pages[-2].context["page"].events]


def test_the_page_of_an_event_says_all_of_it(reader, trail, running):
    page = reader.get(page_of(trail[1])).content.decode()
    for text in ("alice paused sandbox quiet-otter", "192.0.2.7", "Firefox", "41 ms", "op-1", running.pk):
        assert text in page


def test_the_page_of_an_event_has_its_other_half(reader, trail):
    page = reader.get(page_of(trail[1]))
    assert [event.pk for event in page.context["halves"]] == [trail[0].pk]
    assert page_of(trail[0]) in page.content.decode()


def test_the_page_of_an_event_has_its_neighbours_in_time(reader, trail):
    page = reader.get(page_of(trail[2]))
    assert "All of the ten minutes around it" in page.content.decode()
    near = page.context["neighbours"]
    assert [event.pk for event in near][:5] == [event.pk for event in trail]


def test_what_changed_stands_before_and_after(reader, trail):
    page = reader.get(page_of(trail[3]))
    assert page.context["changes"] == [("email", "a", "b")]


def test_an_event_says_its_place_in_the_chain(reader, trail):
    assert "waits for its seal" in reader.get(page_of(trail[0])).content.decode()
    chain.seal(full=True)
    page = reader.get(page_of(trail[0]))
    assert page.context["seal"].digest in page.content.decode()


def test_an_event_that_is_not_there_leads_back_to_the_list(reader):
    answer = reader.get("/admin/sandboxes/event/999/change/", follow=True)
    assert "no event 999" in answer.content.decode()


def test_the_permission_for_events_is_enough_and_needed(client, prof):
    client.force_login(prof)  # staff without it
    assert client.get(LIST).status_code == 403
    prof.user_permissions.add(Permission.objects.get(codename="view_event"))
    assert client.get(LIST).status_code == 200


def test_the_permission_without_staff_is_not_enough(client, alice):
    alice.user_permissions.add(Permission.objects.get(codename="view_event"))
    client.force_login(alice)
    assert client.get(LIST).status_code == 302


@pytest.mark.parametrize("who", ["reader", "root"])
def test_nobody_adds_changes_or_deletes_an_event(request, client, trail, who):
    if who == "root":
        client.force_login(request.getfixturevalue("root"))
    else:
        request.getfixturevalue("reader")
    before = list(Event.objects.values())
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(page_of(trail[0]), {"reason": "other"}).status_code == 403
    assert client.post(f"{LIST}{trail[0].pk}/delete/", {"post": "yes"}).status_code == 403
    assert (
        client.post(LIST, {"action": "delete_selected", "_selected_action": [trail[0].pk]}).status_code == 405
    )
    assert list(Event.objects.filter(pk__in=[row["id"] for row in before]).values()) == before


def test_a_list_costs_at_most_eight_queries(reader, trail, django_assert_max_num_queries):
    for asked in ({}, {"who": "alice"}, {"q": "alice paused"}, {"outcome": "refused", "on": "2025-03-07"}):
        with django_assert_max_num_queries(8):
            reader.get(LIST, asked)


def test_records_lead_to_their_trail(client, root, running):
    client.force_login(root)
    user = client.get(reverse("admin:sandboxes_user_change", args=[running.owner_id])).content.decode()
    assert f"{LIST}?who=alice" in user
    sandbox = client.get(reverse("admin:sandboxes_sandbox_change", args=[quote(running.pk)])).content.decode()
    assert f"{LIST}?sandbox={running.pk}" in sandbox


def test_the_way_to_the_trail_is_shown_to_those_who_may_read_it(client, prof, alice):
    prof.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(prof)
    url = reverse("admin:sandboxes_user_change", args=[alice.pk])
    assert "Show the trail" not in client.get(url).content.decode()
    prof.user_permissions.add(Permission.objects.get(codename="view_event"))
    assert "Show the trail" in client.get(url).content.decode()
    assert User.objects.filter(pk=alice.pk).exists()


def test_the_admin_calls_it_the_audit_trail_everywhere(client, root):
    client.force_login(root)
    for place in (reverse("admin:index"), reverse("admin:app_list", args=["sandboxes"]), LIST):
        page = client.get(place).content.decode()
        assert "Audit trail" in page
        assert ">Events</a>" not in page


def test_an_id_that_looks_quoted_leads_to_its_sandbox_too(client, root, alice):
    """The admin reads _26 as &: one id in two hundred begins so."""
    client.force_login(root)
    sandbox = Sandbox.objects.create(
        id="sb_26abcdefgh", owner=alice, memory=1 << 20, cpus=1, pids=9, lifetime=60
    )
    event = audit.record("sandbox.launch", audit.Origin.of(alice), sandbox)
    page = client.get(page_of(event)).content.decode()
    (url,) = re.findall(r'href="(/admin/sandboxes/sandbox/[^"?]+change/)"', page)
    assert client.get(url).status_code == 200
