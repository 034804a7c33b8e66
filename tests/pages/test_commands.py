"""Commands through the page: run, refused, shown, cancelled, run again, downloaded."""

from __future__ import annotations

import re

import pytest

from sandboxes.models import Command, CommandStatus
from tests.fakes.engine import Script

from .conftest import HTMX, refusals, text

pytestmark = pytest.mark.django_db


def url(sandbox, *more):
    return "/".join(["/sandboxes", sandbox.pk, "commands", *more, ""])


@pytest.fixture
def kept(running):
    """``kept(stdout=b"...")``: a command that has ended, with its output."""

    def made(**columns):
        plain = {"argv": ["true"], "text": "true", "time_limit": 60, "status": "exited", "exit_code": 0}
        for name in ("stdout", "stderr"):
            plain[f"{name}_bytes"] = len(columns.get(name, b""))
        return Command.objects.create(sandbox=running, **plain | columns)

    return made


def test_run_without_script_leads_to_its_page(running, engine, as_alice):
    engine.scripts[("sh", "-c", "ls")] = Script((("stdout", b"a <b>\n"), ("stderr", b"oh")), code=3)
    response = as_alice.post(url(running), {"command": "ls", "shell": "on"})
    command = Command.objects.get()
    assert (response.status_code, response.headers["Location"]) == (303, url(running, command.pk))
    page = text(as_alice.get(response.headers["Location"]))
    assert "exit 3" in page
    assert "a &lt;b&gt;" in page
    assert "oh</pre>" in page


def test_the_only_badge_on_its_page_is_the_command_s(kept, as_alice):
    one = kept()
    page = text(as_alice.get(url(one.sandbox, one.pk)))
    assert page.count('class="badge') == 1
    one.sandbox.__class__.objects.update(status="paused")
    page = text(as_alice.get(url(one.sandbox, one.pk)))
    assert page.count('class="badge') == 1
    assert "its sandbox is paused" in page


def test_run_by_htmx_answers_the_command_and_empties_the_complaint(running, as_alice):
    response = as_alice.post(url(running), {"command": "ls", "shell": "on"}, **HTMX)
    page = response.content.decode()
    assert page.strip().startswith('<article class="result" id="command-open"')
    assert 'id="refusal" aria-live="polite" hx-swap-oob="true"' in page
    assert "sandbox-changed" in response.headers["HX-Trigger-After-Swap"]


def test_without_the_shell_it_is_split_into_words(running, as_alice):
    as_alice.post(url(running), {"command": "echo 'a b' c"})
    assert Command.objects.get().argv == ["echo", "a b", "c"]


BAD = {
    "empty": ({"command": ""}, "Type a command first."),
    "blank": ({"command": "   "}, "Type a command first."),
    "missing": ({}, "Type a command first."),
    "NUL": ({"command": "a\x00b"}, "NUL"),
    "too long": ({"command": "x" * 5000}, "at most 4096"),
    "time limit none": ({"command": "ls", "time_limit": "0"}, "at least one second"),
    "time limit in words": (
        {"command": "ls", "time_limit": "soon"},
        "Write the time limit in seconds, like 30",
    ),
    "open quote": ({"command": "echo 'a"}, "not closed"),
}


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize(("data", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_answered_at_the_field(data, words, htmx, running, engine, as_alice):
    response = as_alice.post(url(running), data, **(HTMX if htmx else {}))
    assert response.status_code == 422
    assert words in text(response)
    if htmx:
        assert response.headers["HX-Retarget"] == "#refusal"
    assert len(refusals("command.run")) == 1
    assert refusals("command.run")[0].sandbox_id == running.pk
    assert not Command.objects.exists()
    assert not [call for call in engine.calls if call[0] == "exec"]


@pytest.mark.parametrize("field", ["command", "time_limit"])
def test_the_field_at_fault_is_the_one_that_is_marked(field, running, as_alice):
    data = {"command": "ls", "time_limit": "5"} | {field: "" if field == "command" else "soon"}
    page = as_alice.post(url(running), data).content.decode()
    marked = re.findall(r'<input [^>]*name="(\w+)"[^>]*aria-invalid="true"', page)
    assert marked == [field]
    part = as_alice.post(url(running), data, **HTMX).content.decode()
    assert f'data-field="{field}"' in part
    assert [one.detail["field"] for one in refusals("command.run")] == [field, field]


def test_on_a_paused_sandbox_resume_is_offered(paused, as_alice):
    page = text(as_alice.post(url(paused), {"command": "ls", "shell": "on"}, **HTMX))
    assert "is paused. Resume it first." in page
    assert f'action="/sandboxes/{paused.pk}/resume/"' in page
    assert len(refusals("command.run")) == 1


@pytest.mark.parametrize("code", [126, 127])
def test_a_program_that_is_not_there_says_so(code, running, engine, as_alice):
    engine.scripts[("sh", "-c", "nope")] = Script((("stderr", b"sh: nope: not found\n"),), code=code)
    page = text(as_alice.post(url(running), {"command": "nope", "shell": "on"}, follow=True))
    assert f"exit {code}" in page


def test_what_is_typed_survives_a_refusal_without_script(running, as_alice):
    assert 'value="echo &#x27;a"' in text(as_alice.post(url(running), {"command": "echo 'a"}))


def test_output_is_readable_and_harmless(kept, running, as_alice):
    one = kept(stdout=b"\x1b[31mred\x1b[0m \x1b]0;title\x07ok\r\n\xff\x00<script>")
    page = as_alice.get(url(running, one.pk)).content.decode()
    assert "red ok\n\ufffd&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "\x00" not in page


def test_output_that_was_let_go_is_said_to_be(kept, running, as_alice):
    page = text(as_alice.get(url(running, kept(stdout_bytes=5000).pk)))
    assert '<span class="gap">not kept any more: of a sandbox’s output the latest is</span></pre>' in page
    assert "Download" not in page


def test_what_was_left_out_is_marked_on_the_page_and_in_the_download(kept, running, as_alice):
    one = kept(stdout=b"headtail", stdout_bytes=5000, stdout_head=4)
    page = text(as_alice.get(url(running, one.pk)))
    assert 'head<span class="gap">5 kB left out here</span>tail' in page
    file = as_alice.get(url(running, one.pk, "stdout"))
    assert file.content == b"head\n[... 4992 bytes left out ...]\ntail"


def test_a_long_output_is_cut_on_the_page_only(kept, running, as_alice):
    one = kept(stdout=b"a" * 300_000 + b"END")
    response = as_alice.get(url(running, one.pk))
    assert len(response.content) < 200_000
    assert "left out here" in text(response)
    assert "END</pre>" in text(response)
    assert len(as_alice.get(url(running, one.pk, "stdout")).content) == 300_003


def test_a_download_is_a_file_with_the_exact_bytes(kept, running, as_alice):
    one = kept(stderr=bytes(range(256)))
    file = as_alice.get(url(running, one.pk, "stderr"))
    assert file.content == bytes(range(256))
    assert file.headers["Content-Type"].startswith("text/plain")
    assert file.headers["Content-Disposition"] == f'attachment; filename="{one.pk}-stderr.txt"'
    assert file.headers["X-Content-Type-Options"] == "nosniff"


def test_while_it_runs_a_question_about_it_is_answered_by_nothing(kept, running, as_alice):
    one = kept(status=CommandStatus.RUNNING, exit_code=None)
    assert as_alice.get(url(running, one.pk) + "?while=running", **HTMX).status_code == 204
    assert "every 2s" in text(as_alice.get(url(running, one.pk), **HTMX))
    Command.objects.update(status=CommandStatus.EXITED, exit_code=0)
    done = as_alice.get(url(running, one.pk) + "?while=running", **HTMX)
    assert "exit 0" in text(done)
    assert "every 2s" not in text(done)


@pytest.mark.parametrize("status", [CommandStatus.CANCELLED, CommandStatus.FAILED, CommandStatus.TIMED_OUT])
def test_how_it_ended_is_told_in_small_letters_as_exit_codes_are(status, kept, running, as_alice):
    one = kept(status=status, exit_code=None)
    assert f"</svg>{status.label.lower()}</span>" in as_alice.get(url(running, one.pk)).content.decode()


def test_cancel_is_written_down_with_who(kept, running, as_alice):
    one = kept(status=CommandStatus.RUNNING, exit_code=None)
    assert as_alice.post(url(running, one.pk, "cancel")).status_code == 303
    one.refresh_from_db()
    assert one.cancelled_by == "alice"


def test_cancelling_what_has_ended_says_so(kept, running, as_alice):
    page = as_alice.post(url(running, kept().pk, "cancel"), follow=True)
    assert "It has ended already." in text(page)


def test_run_again_is_a_new_command(kept, running, as_alice):
    one = kept(argv=["echo", "x"], text="echo x")
    response = as_alice.post(url(running, one.pk, "rerun"))
    again = Command.objects.exclude(pk=one.pk).get()
    assert again.argv == ["echo", "x"]
    assert response.headers["Location"] == url(running, again.pk)


def test_run_again_on_a_stopped_sandbox_is_refused(kept, running, as_alice):
    one = kept()
    as_alice.post(f"/sandboxes/{running.pk}/stop/")
    assert "Start it first" in text(as_alice.post(url(running, one.pk, "rerun"), follow=True))
    assert Command.objects.count() == 1


def test_a_command_of_another_sandbox_is_not_here(kept, launch, as_alice):
    assert as_alice.get(url(launch(name="other"), kept().pk)).status_code == 404


def test_the_history_shows_how_each_ended(kept, running, as_alice):
    (
        kept(text="one", exit_code=0),
        kept(text="two", exit_code=2),
        kept(text="three", status="timed_out", exit_code=None),
    )
    page = text(as_alice.get(f"/sandboxes/{running.pk}/part/commands/"))
    for word in ("exit 0", "exit 2", "timed out", "one</code>", "two</code>"):
        assert word in page
