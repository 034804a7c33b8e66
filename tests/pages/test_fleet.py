"""The list: what is counted, found, sorted and paged, in a bounded number of queries, without the engine."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.models import Event, Lease, Sandbox

from .conftest import HTMX, browser, text

pytestmark = pytest.mark.django_db
URL = "/sandboxes/"


def names(response):
    """The names in the list, in order."""
    return re.findall(r'<a class="name" href="[^"]*">([^<]*)</a>', response.content.decode())


@pytest.fixture
def many(alice, bob, image):
    """300 rows of two people in all statuses."""
    statuses = ("running", "paused", "stopped", "failed", "queued", "removed")
    Sandbox.objects.bulk_create(
        Sandbox(
            owner=(alice, bob)[n % 2], name=f"box-{n:03}", image=image, image_reference=image.reference,
            memory=1 << 20, cpus=1, pids=64, lifetime=60, status=statuses[n % 6],
            created_at=timezone.now() - timedelta(minutes=n),
        )
        for n in range(300)
    )  # fmt: skip


@pytest.mark.parametrize("who", ["alice", "prof"])
@pytest.mark.parametrize("query", ["", "?q=box&status=running&sort=-name&page=2", "?owner=alice"])
def test_six_queries_at_any_size_and_no_word_to_the_engine(
    who, query, many, engine, request, django_assert_max_num_queries
):
    client = browser(request.getfixturevalue(who))
    client.get(URL)
    engine.calls.clear()
    with django_assert_max_num_queries(6):
        response = client.get(URL + query)
    assert response.status_code == 200
    assert names(response)
    assert engine.calls == []


def test_nobody_sees_somebody_elses(many, as_alice):
    shown = names(as_alice.get(f"{URL}?q=box-00"))
    assert shown == ["box-000", "box-002", "box-004", "box-006", "box-008"]


def test_staff_see_all_and_choose_an_owner(many, as_prof):
    assert names(as_prof.get(f"{URL}?q=box-00&status=all&sort=name"))[:2] == ["box-000", "box-001"]
    assert names(as_prof.get(f"{URL}?q=box-00&owner=bob&sort=name"))[:2] == ["box-001", "box-003"]


def test_an_owner_in_the_address_is_nothing_to_others(many, as_alice):
    assert names(as_alice.get(f"{URL}?owner=bob")) == names(as_alice.get(URL))


def test_pages_of_25(many, as_prof):
    first, last = as_prof.get(URL), as_prof.get(f"{URL}?page=10")
    assert len(names(first)) == len(names(last)) == 25  # 250 are not removed
    assert "1–25 of 250" in text(first)
    assert names(as_prof.get(f"{URL}?page=99999999999999")) == names(last)
    assert names(as_prof.get(f"{URL}?page=-1")) == names(last)
    assert names(as_prof.get(f"{URL}?page=x")) == names(first)


@pytest.mark.parametrize(
    ("sort", "first"), [("name", "a"), ("-name", "c"), ("left", "b"), ("-memory", "c"), ("junk", "a")]
)
def test_order(sort, first, row, as_alice):
    now = timezone.now()
    row(name="c", memory=3 << 20, created_at=now - timedelta(minutes=2))
    row(name="b", memory=2 << 20, created_at=now - timedelta(minutes=1), expires_at=now)
    row(name="a", memory=1 << 20)
    assert names(as_alice.get(f"{URL}?sort={sort}"))[0] == first


def test_search_finds_name_id_image(row, as_alice):
    one = row(name="web", image_reference="node:20")
    row(name="other")
    for words in ("WEB", one.pk, "node"):
        assert names(as_alice.get(URL, {"q": words})) == ["web"]


def test_chips_count_what_the_search_found(row, as_alice):
    row(name="web"), row(name="web-2", status="failed"), row(name="x", status="failed")
    page = text(as_alice.get(f"{URL}?q=web"))
    assert "All <b>2</b>" in page
    assert "Failed <b>1</b>" in page
    assert "Paused <b>" not in page


def test_removed_ones_are_under_their_own_chip(row, as_alice):
    row(name="gone", status="removed")
    assert names(as_alice.get(URL)) == []
    assert names(as_alice.get(f"{URL}?status=removed")) == ["gone"]


def test_ending_soon(row, as_alice):
    row(name="late", expires_at=timezone.now() + timedelta(minutes=3))
    row(name="early")
    assert names(as_alice.get(f"{URL}?status=ending")) == ["late"]


def test_nothing_yet_teaches_and_nothing_found_says_so(as_alice, image):
    assert "No sandboxes yet" in text(as_alice.get(URL))
    assert "Nothing matches" in text(as_alice.get(f"{URL}?q=zzz"))


def test_htmx_gets_the_list_alone(row, as_alice):
    row()
    page = as_alice.get(f"{URL}?q=quiet", HTTP_HX_TARGET="fleet", **HTMX).content.decode()
    assert page.lstrip().startswith('<section class="card" id="fleet"')
    assert "<html" not in page
    assert 'id="chips"' in page
    assert 'hx-swap-oob="true"' in page


def test_the_address_stays_short_while_one_types(row, as_alice):
    response = as_alice.get(
        f"{URL}?q=a&status=all&sort=new", HTTP_HX_TARGET="fleet", HTTP_HX_TRIGGER="filters", **HTMX
    )
    assert response.headers["HX-Replace-Url"] == "/sandboxes/?q=a"


def test_rows_answer_what_is_there_and_theirs(row, bob, as_alice):
    mine, gone, theirs = row(name="mine"), row(name="gone", status="removed"), row(owner=bob, name="theirs")
    response = as_alice.get(
        "/sandboxes/rows/", {"id": [theirs.pk, gone.pk, mine.pk, "sb_nope", "\x00", "x" * 5000]}
    )
    page = response.content.decode()
    assert names(response) == ["mine"]
    assert page.strip().startswith("<tr")
    assert f'id="row-{mine.pk}"' in page


def test_a_row_tells_status_by_word_and_shape_and_what_comes_next(row, as_alice):
    row(name="p", status="paused")
    page = text(as_alice.get(URL))
    assert 'data-status="paused" data-pending=""><svg' in page
    assert ">Resume</button>" in page


def test_why_it_failed_stands_in_its_row(row, as_alice):
    row(
        status="failed",
        status_reason="the registry has no such image",
        status_detail="pull access denied: /var/lib",
    )
    page = text(as_alice.get(URL))
    assert "The registry has no such image" in page
    assert "/var/lib" not in page


def test_a_pull_shows_how_far_it_is(row, image, as_alice):
    image.pull_progress = {"done": 41 << 20, "wanted": 118 << 20, "layers": {}}
    image.save()
    row(status="queued", pending="launch", launch_step="pulling")
    page = text(as_alice.get(URL))
    assert "41 MB of 118 MB" in page
    assert f'value="{41 << 20}" max="{118 << 20}"' in page


@pytest.mark.parametrize("progress", [{}, {"done": None}, {"layers": []}, {"layers": {"a": "x"}}])
def test_a_pull_that_says_little_breaks_nothing(progress, row, image, as_alice):
    image.pull_progress = progress
    image.save()
    one = row(status="queued", pending="launch", launch_step="pulling")
    assert as_alice.get(URL).status_code == 200
    assert as_alice.get(f"/sandboxes/{one.pk}/").status_code == 200


def test_act_on_a_selection(launch, as_alice):
    two = [launch(name="a"), launch(name="b")]
    response = as_alice.post(
        "/sandboxes/act/", {"action": "pause", "ids": [one.pk for one in two]}, follow=True
    )
    assert set(Sandbox.objects.values_list("status", flat=True)) == {"paused"}
    assert "2 paused." in text(response)
    assert Event.objects.filter(action="sandbox.pause", outcome="ok").count() == 2


def test_a_selection_by_htmx_comes_back_to_the_same_view(launch, as_alice):
    one = launch(name="a")
    response = as_alice.post(
        "/sandboxes/act/", {"action": "pause", "ids": one.pk},
        HTTP_HX_CURRENT_URL="http://testserver/sandboxes/?status=paused", HTTP_HX_TARGET="fleet", **HTMX,
    )  # fmt: skip
    assert names(response) == ["a"]
    assert '"toast"' in response.headers["HX-Trigger"]


def test_without_script_what_hurts_asks_first(launch, as_alice):
    one = launch(name="a")
    asked = as_alice.post("/sandboxes/act/?confirm", {"action": "remove", "ids": one.pk})
    assert "gone for good" in text(asked)
    assert Sandbox.objects.get().status == "running"
    as_alice.post("/sandboxes/act/", {"action": "remove", "ids": one.pk})
    assert Sandbox.objects.get().status == "removed"


def test_an_unknown_action_is_not_there(launch, as_alice):
    for action in ("launch", "explode", "", "\x00"):
        assert as_alice.post("/sandboxes/act/", {"action": action, "ids": launch().pk}).status_code == 404


def test_the_engine_away_is_said_and_the_list_stays(row, engine, as_alice):
    row()
    engine.health.note_error(Unreachable("away"))
    page = text(as_alice.get(URL))
    assert "Engine unreachable since" in page
    assert "Sandboxes keep running; what is launched now starts when it is back." in page
    assert reverse("sandbox_list") in page


def test_no_banner_while_all_is_well(as_alice):
    assert 'id="engine" role="status" hidden' in text(as_alice.get(URL))


@pytest.fixture
def looked_around(db):
    """The cleanup loop has seen the engine."""
    engine = {"version": "28.1.1", "free_disk": 12 << 30}
    Lease.objects.create(name="cleanup", owner="x", until=timezone.now(), report={"engine": engine})


def test_staff_see_the_engine_s_version_and_free_disk(looked_around, as_prof):
    page = text(as_prof.get(URL))
    assert "28.1.1" in page
    assert "12 GB of disk free" in page


def test_others_do_not(looked_around, as_alice):
    page = text(as_alice.get(URL))
    assert "28.1.1" not in page
    assert "disk free" not in page


@pytest.mark.parametrize("report", [{}, {"engine": None}, {"engine": []}, {"engine": {"version": ""}}])
def test_a_loop_that_has_not_looked_is_no_trouble(report, as_prof):
    Lease.objects.create(name="cleanup", owner="x", until=timezone.now(), report=report)
    assert as_prof.get(URL).status_code == 200
