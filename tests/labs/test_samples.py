"""The sample course: made once, tried on the real engine line by line as its sheets say."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import docker
import pytest
from django.core.management import CommandError, call_command

from sandboxes.labs import lab_templates, samples
from sandboxes.labs.models import Course, LabTemplate, TemplateVersion
from sandboxes.lifecycle import audit
from sandboxes.models import Event, Image
from scripts import debian, lab_images
from tests.engine.conftest import docker_engine, real, refuse  # noqa: F401  the real engine's fixtures
from tests.engine.helpers import Sandboxes, run

RUN = re.compile(r"```run\n(.*?)```", re.S)


@pytest.mark.django_db
def test_it_is_there_once_however_often_it_is_made(root, engine, capsys):
    call_command("sample_course")
    call_command("sample_course")
    assert Course.objects.get().title == "Sample course"
    assert set(LabTemplate.objects.values_list("title", flat=True)) == {
        "Shell basics", "First steps in Python", "A small web server",
    }  # fmt: skip
    assert all(one.published for one in LabTemplate.objects.all())
    assert Course.objects.get().enrollments.get().user == root
    assert Event.objects.filter(action="course.create").count() == 1


@pytest.mark.django_db
def test_what_is_changed_stays_changed(root, engine, capsys):
    call_command("sample_course")
    TemplateVersion.objects.filter(template__title="Shell basics").update(sheet="mine")
    call_command("sample_course")
    assert TemplateVersion.objects.get(template__title="Shell basics").sheet == "mine"


@pytest.mark.django_db
def test_without_an_admin_or_with_a_wrong_name_it_says_so(engine):
    with pytest.raises(CommandError, match="no admin yet"):
        call_command("sample_course")
    with pytest.raises(CommandError, match="no user nobody"):
        call_command("sample_course", instructor="nobody")


@pytest.mark.django_db
def test_it_says_which_image_is_missing_and_how_to_get_it(root, engine, capsys):
    call_command("sample_course")
    assert "python -m scripts.lab_images" in capsys.readouterr().out


def python() -> TemplateVersion:
    """What labs take of the Python lab."""
    found = LabTemplate.objects.get(title="First steps in Python").published
    assert found is not None
    return found


@pytest.mark.django_db
def test_an_image_that_is_built_later_is_taken_the_next_time(root, engine, capsys):
    """As the first lab's tutorial says: scripts.lab_images, and then sample_course once more."""
    call_command("sample_course")
    before = python()
    assert (before.image.reference, before.image.is_here) == ("python:3.13-slim", False)
    engine.local[samples.PYTHON] = engine._image(samples.PYTHON)
    capsys.readouterr()
    call_command("sample_course")
    after = python()
    assert (after.image.reference, after.number) == (samples.PYTHON, 2)
    assert (after.sheet, bytes(after.files)) == (before.sheet, bytes(before.files))
    assert "lab_images" not in capsys.readouterr().out
    call_command("sample_course")
    assert python() == after
    assert TemplateVersion.objects.count() == 4
    assert Event.objects.filter(action="template.publish").count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["a version of theirs", "unpublished", "an image that is here"])
def test_what_people_made_of_a_sample_is_not_touched(root, engine, capsys, change):
    call_command("sample_course")
    template, by = LabTemplate.objects.get(title="First steps in Python"), audit.Origin.of(root)
    if change == "a version of theirs":
        lab_templates.save(template, template.title, 1, by, sheet="mine")
    elif change == "unpublished":
        lab_templates.unpublish(template, by)
    else:
        Image.objects.filter(reference="python:3.13-slim").update(size=1 << 20)
        engine.local["python:3.13-slim"] = engine._image("python:3.13-slim")
    engine.local[samples.PYTHON] = engine._image(samples.PYTHON)
    before = template.versions.count()
    call_command("sample_course")
    assert template.versions.count() == before


@pytest.fixture
def place(real: Sandboxes) -> Any:  # noqa: F811
    """``place("shell")``: a container with that lab's files, and a way to run lines in it."""

    def made(name: str, **options: Any) -> Any:
        native_id = real.running(**options)
        sample = next(one for one in samples.all_samples() if one.name == name)
        real.engine.put_files(native_id, "/workspace", sample.archive)
        return lambda line: run(real.engine, native_id, "sh", "-c", line, workdir="/workspace")

    return made


@pytest.mark.engine
@pytest.mark.parametrize("name", ["shell", "web"])
def test_every_line_of_the_sheet_runs(name, place):
    sh = place(name)
    if name == "shell":
        sh("printf '#!/bin/sh\\ngrep -c ERROR \"$1\"\\n' > errors.sh")  # what the sheet has people write
    sheet = next(one for one in samples.all_samples() if one.name == name).sheet
    lines = [text for text in RUN.findall(sheet) if "cgi-bin/hello.sh >/dev/null" not in text]
    assert len(lines) >= 4
    for text in lines:
        out, err, code = sh(text)
        assert code == 0, (text, out, err)
        assert out or "cd" in text or "httpd" in text, text


@pytest.mark.engine
def test_what_the_sheets_promise(place):
    sh = place("shell")
    assert sh("ls library/poems | wc -l")[0].strip() == b"3"
    assert sh("grep -rl moon library")[0].strip() == b"library/poems/evening.txt"
    assert sh("sort names.txt | uniq -c | sort -rn | head -n 1")[0].split() == [b"21", b"chiara"]
    hours = sh("grep ERROR log.txt | cut -c 12-13 | sort | uniq -c | sort -rn | head -n 1")[0].split()
    assert hours[1] == b"14"
    web = place("web")
    web("httpd -p 127.0.0.1:8080 -h site")
    assert b"404" in web("printf 'GET /nothing HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 8080")[0]
    assert web("wget -qO- 'http://127.0.0.1:8080/cgi-bin/hello.sh?name=Ada'")[0] == b"Hello, Ada.\n"


@pytest.fixture(scope="module")
def python_image() -> str:
    """The image that scripts.lab_images builds: what is there is taken, else it takes a minute."""
    with closing(docker.from_env(timeout=600)) as client:
        try:
            return lab_images.ensure(client)
        except debian.NotInstalled as error:
            refuse(f"the image of the Python lab cannot be built here: {error}")
            raise


SOLVED = """
def warmest(readings):
    return max(readings, key=lambda pair: pair[1])
"""


@pytest.mark.engine
def test_the_python_sheet_holds_on_the_image_that_is_built_here(place, python_image):
    """As a student goes through it: each line, what the text says of it, and the task at its end."""
    sample = next(one for one in samples.all_samples() if one.name == "python")
    sh = place("python", image=python_image, memory=sample.memory)
    lines = [text.strip() for text in RUN.findall(sample.sheet)]
    assert sh(lines.pop(0)) == (b"", b"", 0)  # Python itself, and nobody types
    shown, sorted_out, test = lines.pop(0), lines.pop(0), lines.pop(0)
    assert lines == []
    out, err, code = sh(shown)
    assert (err, code) == (b"", 0)
    assert b"import" not in out
    assert out.count(b"2026-") >= 10
    assert float(sh(sorted_out)[0].decode().partition(",")[2]) > 25
    assert sh("python3 -c 'print(7 / 2, 7 // 2, 7 % 2)'")[0] == b"3.5 3 1\n"
    out, err, code = sh(test)
    assert (code, b"cannot import name" in err) == (1, True), "it fails until it is written"
    sh(f"cat > weather.py <<'END'{SOLVED}END")
    out, err, code = sh(test)
    assert (code, b"Ran 2 tests" in err) == (0, True), err
    assert all(sh(f"command -v {tool}")[2] == 0 for tool in ("nano", "less", "ps")), "the sheet names them"
    assert sh("id -u; pwd; touch mine")[0] == b"1000\n/workspace\n"
