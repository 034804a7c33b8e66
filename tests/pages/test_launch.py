"""The launch form: defaults, one sandbox a key, and every bad input answered at its field and on record."""

from __future__ import annotations

import html
import re

import pytest
from django.conf import settings

from sandboxes.engine.base import ImageMissing, NoCapacity
from sandboxes.models import Image, Sandbox, Status

from .conftest import refusals, text

pytestmark = pytest.mark.django_db
URL = "/sandboxes/new/"


@pytest.fixture
def post(as_alice, image):
    """``post(memory="1g")``: the form as a browser sends it, all fields there."""

    def posted(**changed):
        plain = {
            "name": "web", "image": image.pk, "memory": "", "cpus": "", "lifetime": "", "network": "none",
            "pids": "", "workdir": "", "environment": "", "launch_key": "",
        }  # fmt: skip
        return as_alice.post(URL, plain | changed)

    return posted


def error_at(response, field):
    """The message under a field, or None."""
    found = re.search(rf'id="id_{field}-error">.*?<span>(.*?)</span>', text(response))
    return found and found.group(1)


def test_the_form_shows_the_catalogue_with_what_is_here(as_alice, image):
    Image.objects.create(reference="node:20", title="Node", position=1)
    Image.objects.create(reference="off", title="Switched off", enabled=False)
    page = text(as_alice.get(URL))
    assert "Starter" in page
    assert "here</span>2 MB" in page
    assert "will be pulled" in page
    assert "Switched off" not in page
    assert page.count(" checked") == 1


def test_an_address_can_choose_image_and_name(as_alice, image):
    other = Image.objects.create(reference="node:20", title="Node", position=500)
    page = text(as_alice.get(f"{URL}?image={other.pk}&name=web-2"))
    assert f'value="{other.pk}" required checked' in page
    assert 'value="web-2"' in page
    for junk in ("x", "\x00", "9" * 400, "-1"):
        assert as_alice.get(URL, {"image": junk, "name": junk}).status_code == 200


def test_empty_limits_are_the_images_own(post, image):
    Image.objects.update(memory=64 << 20, cpus="0.5", pids=33, lifetime=120, workdir="/work")
    response = post()
    one = Sandbox.objects.get()
    assert response.status_code == 303
    assert response.headers["Location"] == f"/sandboxes/{one.pk}/"
    assert (one.memory, float(one.cpus), one.pids, one.lifetime, one.workdir) == (
        64 << 20,
        0.5,
        33,
        120,
        "/work",
    )
    assert one.status == Status.RUNNING


def test_what_people_write_is_understood(post):
    post(memory="1.5g", cpus="0.25", lifetime="1h 30m", pids="99", workdir="/srv/../tmp", network="internet",
         environment="A=1\r\n\r\nB=x=y \n", auto_remove="on")  # fmt: skip
    one = Sandbox.objects.get()
    assert (one.memory, float(one.cpus), one.lifetime, one.pids) == (3 << 29, 0.25, 5400, 99)
    assert (one.workdir, one.network, one.auto_remove) == ("/tmp", "internet", True)
    assert one.environment == {"A": "1", "B": "x=y "}


def test_no_name_gets_a_readable_one(post):
    post(name="  ")
    assert re.fullmatch(r"[a-z]+-[a-z]+", Sandbox.objects.get().name)


def test_a_double_submit_is_one_sandbox(post, engine, as_alice):
    key = re.search(r'name="launch_key" value="(\w+)"', text(as_alice.get(URL))).group(1)
    first, second = post(launch_key=key), post(launch_key=key)
    assert first.headers["Location"] == second.headers["Location"]
    assert Sandbox.objects.count() == len(engine.containers) == 1


def test_each_form_has_its_own_key(as_alice, image):
    keys = {re.search(r'name="launch_key" value="(\w+)"', text(as_alice.get(URL))).group(1) for _ in range(3)}
    assert len(keys) == 3


def test_hints_name_the_bounds(as_alice, image, engine, settings):
    assert all(one in text(as_alice.get(URL)) for one in ("0.05 to 4", "8 to 4096"))
    settings.SANDBOX_MAX_CPUS = 1.5
    assert "0.05 to 1.5" in text(as_alice.get(URL))


BAD = {
    "memory below what the engine takes": ("memory", "1m", "at least 6 MB"),
    "memory above the most": ("memory", "64g", "at most 2 GB"),
    "memory in words": ("memory", "lots", "512m"),
    "memory negative": ("memory", "-1", "512m"),
    "memory beyond all numbers": ("memory", "9" * 400, ""),
    "cpus none": ("cpus", "0", "A sandbox has at least 0.05 CPUs."),
    "cpus next to none": ("cpus", "0.04", "at least 0.05"),
    "cpus more than there are": ("cpus", "64", "A sandbox has at most 4 CPUs."),
    "cpus not a number": ("cpus", "NaN", "number"),
    "cpus without end": ("cpus", "Infinity", "number"),
    "cpus one and many zeros": ("cpus", "1e999999", ""),
    "pids none": ("pids", "0", "Allow at least 8 processes."),
    "pids negative": ("pids", "-5", "at least"),
    "pids too many": ("pids", "99999999", "Allow at most 4096 processes."),
    "pids half": ("pids", "1.5", "whole number"),
    "lifetime none": ("lifetime", "0", "at least one second"),
    "lifetime negative": ("lifetime", "-5", "45 min"),
    "lifetime beyond the most": ("lifetime", "9h", "at most 8 h"),
    "lifetime in words": ("lifetime", "for ever", "45 min"),
    "variable without =": ("environment", "A=1\nB", "Line 2: write NAME=value."),
    "variable with a bad name": ("environment", "1A=x", "begins with no digit"),
    "variable without a name": ("environment", "=x", "letters"),
    "variable twice": ("environment", "A=1\nA=2", "twice"),
    "variable with NUL": ("environment", "A=x\x00y", "NUL"),
    "variable with a line break": ("environment", "A=x\ry", "line break"),
    "a thousand variables": ("environment", "\n".join(f"V{n}=1" for n in range(1000)), "At most 100"),
    "variables too large": ("environment", "A=" + "x" * 100_000, "at most 32 kB"),
    "workdir relative": ("workdir", "workspace", "begins with a slash"),
    "workdir under /proc": ("workdir", "/proc/self/fd/7", "/proc"),
    "workdir under /proc in disguise": ("workdir", "//tmp/../proc/1", "/proc"),
    "workdir with NUL": ("workdir", "/a\x00b", "NUL"),
    "workdir with a line break inside": ("workdir", "/a\nb", "visible"),
    "workdir too long": ("workdir", "/" + "a" * 5000, "at most 255"),
    "name of 5,000 characters": ("name", "x" * 5000, "at most 63 characters"),
    "name with controls": ("name", "a\x1b[31mb", "visible"),
    "name with NUL": ("name", "a\x00b", "NUL"),
    "name that turns writing round": ("name", "abc\u202etxt", "visible"),
    "image unknown": ("image", "999999", "not in the catalogue"),
    "image not a number": ("image", "x", "not in the catalogue"),
    "image beyond all numbers": ("image", "9" * 400, "not in the catalogue"),
    "image none": ("image", "", "Choose an image"),
    "network unknown": ("network", "host", "none or internet"),
}


@pytest.mark.parametrize(("field", "value", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_answered_at_its_field(field, value, words, post, engine):
    response = post(**{field: value})
    assert response.status_code == 422
    message = error_at(response, field)
    assert message, "no message at the field"
    assert words in message
    assert 'aria-invalid="true"' in text(response)
    assert len(refusals("sandbox.launch")) == 1
    assert refusals("sandbox.launch")[0].actor_name == "alice"
    assert not Sandbox.objects.exists()
    assert not engine.containers


def test_what_was_typed_comes_back_and_folded_fields_open(post):
    page = text(post(memory="lots", environment="A=1\nB", name="my name"))
    assert 'value="lots"' in page
    assert 'value="my name"' in page
    assert 'class="more" open' in page
    assert "the 2 fields marked below" in page


def test_all_that_is_wrong_is_said_at_once_and_recorded(post):
    response = post(memory="x", cpus="x", pids="x")
    assert all(error_at(response, field) for field in ("memory", "cpus", "pids"))
    assert {event.detail["field"] for event in refusals("sandbox.launch")} == {"memory", "cpus", "pids"}


def test_a_secret_typed_in_the_wrong_way_is_not_on_record(post):
    post(environment="hunter2hunter2")
    assert "hunter2" not in repr([vars(event) for event in refusals("sandbox.launch")])


def test_an_image_switched_off_meanwhile(post, image):
    Image.objects.update(enabled=False)
    assert "switched off" in error_at(post(), "image")
    assert not Sandbox.objects.exists()


def test_memory_above_the_quota(post, alice, engine):
    alice.quota_memory = 100 << 20
    alice.save()
    response = post(memory="256m")
    assert "quota of 100 MB" in error_at(response, "memory")
    assert len(refusals("sandbox.launch")) == 1
    assert not engine.containers


def test_no_place_left(post, alice, engine):
    alice.quota_sandboxes = 1
    alice.save()
    post()
    response = post(name="second")
    assert response.status_code == 422
    assert "You have 1 of 1 sandboxes. Remove one first." in text(response)
    assert Sandbox.objects.count() == len(engine.containers) == 1
    assert len(refusals("sandbox.launch")) == 1


@pytest.mark.parametrize("failure", [
    ImageMissing("The registry has no image node:20; check its name.", "pull access denied /var/lib/docker"),
    ImageMissing("The registry wants a login for node:20.", "401 unauthorized"),
    ImageMissing("The registry cannot be reached; is this machine offline?", "dial tcp: lookup"),
    NoCapacity("The engine's disk is full.", "no space left on device /var/lib/docker/tmp"),
])  # fmt: skip
def test_an_image_that_cannot_be_pulled(failure, post, as_alice, as_prof, engine):
    node = Image.objects.create(reference="node:20", title="Node")
    engine.fail["pull"] = failure
    page = as_alice.get(post(image=node.pk).headers["Location"])
    assert Sandbox.objects.get().status == Status.FAILED
    assert html.escape(str(failure).rstrip(".")[1:]) in text(page)
    assert failure.detail not in text(page)
    assert failure.detail in text(as_prof.get(page.wsgi_request.path))
    for way_out in ("Try again", "Choose another image", "Remove"):
        assert way_out in text(page)
    assert not engine.containers


def test_duplicates_and_what_is_missing_break_nothing(as_alice, image):
    assert as_alice.post(URL, {}).status_code == 422
    assert as_alice.post(URL, {"image": [image.pk, image.pk], "memory": ["x", "64m"]}).status_code == 303


def test_the_form_says_what_may_be(as_alice, image):
    page = text(as_alice.get(URL))
    assert "6 MB to 2 GB" in page
    assert f"up to {settings.SANDBOX_MAX_LIFETIME // 3600} h" in page


def test_an_empty_catalogue_says_so(as_alice, as_prof):
    assert "Ask an admin" in text(as_alice.get(URL))
    assert "Add an image" in text(as_prof.get(URL))


def test_a_strict_sandbox_is_launched_and_its_page_says_what_that_means(as_alice, post, engine):
    address = post(isolation="strict").url
    sandbox = Sandbox.objects.get(name="web")
    assert sandbox.is_strict
    page = text(as_alice.get(address))
    assert "gone when it stops" in page
    assert "Its files are in memory and are lost." in page


def test_a_strict_sandbox_with_a_network_is_refused_at_the_field(post, engine):
    assert error_at(post(isolation="strict", network="internet"), "network") == (
        "A strict sandbox has no network. Choose none."
    )
