"""An image's limits in the admin: written as people write them, and held to what a launch is held to."""

import re

import pytest
from django.urls import reverse

from sandboxes.models import Image
from sandboxes.units import parse_duration, parse_size, write_duration, write_size

pytestmark = pytest.mark.django_db
ADD = reverse("admin:sandboxes_image_add")
WRITTEN = {
    "reference": "some/image:1", "title": "Some", "shell": "sh", "memory": "256m", "cpus": "0.5",
    "pids": "64", "lifetime": "45 min", "idle": "", "disk": "1.5 GB",
    "workdir": "/workspace", "isolation": "standard", "recording": "off", "enabled": "on", "position": "1",
}  # fmt: skip


@pytest.fixture
def admin(client, root, engine):
    client.force_login(root)
    return client


def fields(page):
    """What the page's form has in its fields of text."""
    return dict(re.findall(r'<input type="text" name="(\w+)" value="([^"]*)"', page.content.decode()))


def test_a_new_image_begins_with_the_installs_limits_as_people_write_them(admin):
    found = fields(admin.get(ADD))
    assert (found["memory"], found["lifetime"], found["cpus"]) == ("512 MB", "1 h", "1")
    page = admin.get(ADD).content.decode()
    assert "Processes" in page
    assert "Working directory" in page
    assert "8 to " in page


def test_limits_are_taken_as_they_are_written(admin):
    assert admin.post(ADD, WRITTEN).status_code == 302
    image = Image.objects.get(reference="some/image:1")
    assert (image.memory, image.lifetime, image.disk) == (256 << 20, 45 * 60, 3 << 29)
    assert (str(image.cpus), image.pids, image.idle) == ("0.50", 64, None)


def test_a_form_that_is_saved_as_it_stands_changes_nothing(admin):
    odd = {"memory": (64 << 20) + 1, "cpus": "0.25", "lifetime": 75, "idle": 0, "disk": 3 << 29}
    image = Image.objects.create(reference="odd:1", title="Odd", **odd)
    page = reverse("admin:sandboxes_image_change", args=[image.pk])
    shown = WRITTEN | {"reference": "odd:1", "title": "Odd", "position": "100"} | fields(admin.get(page))
    assert admin.post(page, shown).status_code == 302
    image.refresh_from_db()
    assert {name: getattr(image, name) for name in odd} == odd | {"cpus": image.cpus}
    assert float(image.cpus) == 0.25


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("memory", "1k", "Memory is at least"),
        ("memory", "much", "Write a size like 512m"),
        ("pids", "1", "at least 8"),
        ("lifetime", "999 days", "Lifetime is at most"),
        ("disk", "1k", "A disk limit is 1 MB to"),
        ("workdir", "/proc/1", "cannot be under /proc"),
        ("cpus", "", "This field is required"),
        ("idle", "soon", "Write a time like 45 min"),
    ],
)
def test_what_no_launch_would_take_is_refused_at_its_field(admin, field, text, said):
    answer = admin.post(ADD, WRITTEN | {field: text})
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert field in answer.context["adminform"].form.errors


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("never", 0), ("30 min", 1800)])
def test_an_idle_limit_may_be_never(admin, text, seconds):
    admin.post(ADD, WRITTEN | {"idle": text})
    assert Image.objects.get(reference="some/image:1").idle == seconds


def test_the_list_says_lifetimes_in_words(admin, image):
    page = admin.get(reverse("admin:sandboxes_image_changelist")).content.decode()
    assert '<td class="field-lives">1 h</td>' in page


@pytest.mark.parametrize("count", [0, 1, 1000, 1 << 10, 1 << 20, 3 << 29, 1 << 30, 1 << 40, (1 << 30) + 1])
def test_what_is_written_reads_back_the_same(count):
    assert parse_size(write_size(count)) == count
    assert parse_duration(write_duration(count)) == count
