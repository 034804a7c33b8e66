"""The sample course: made once, tried on the real engine line by line as its sheets say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from sandboxes.labs import samples
from sandboxes.labs.models import Course, LabTemplate, TemplateVersion
from sandboxes.models import Event
from tests.engine.conftest import docker_engine, real  # noqa: F401  the real engine's fixtures
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


@pytest.fixture
def place(real: Sandboxes) -> Any:  # noqa: F811
    """``place("shell")``: a container with that lab's files, and a way to run lines in it."""

    def made(name: str) -> Any:
        native_id = real.running()
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
