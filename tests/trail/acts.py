"""Everything that can be done here, and the event it leaves. What has no row here fails a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from sandboxes import access
from sandboxes.labs import joining, links
from sandboxes.labs.models import Course, Enrollment, Hand, Lab, LabRunResult, LabStatus, Seat, SeatStatus
from sandboxes.lifecycle import actions, audit
from sandboxes.models import Command, User
from tests.gates import rules
from tests.gates.world import HERE, PASSWORD, World

NOBODY = audit.Origin("user", name="somebody")
Prepare = Callable[[World], dict[str, Any] | None]
"""Brings about what an act needs; gives further data of the form."""


@dataclass(frozen=True)
class Act:
    """One press of a button: whose, on which path, with what, and the action word of its event."""

    route: str
    event: str
    who: str = "instructor"
    data: dict[str, Any] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    prepare: Prepare | None = None
    method: str = "post"
    actor: str = ""

    def __str__(self) -> str:
        return "-".join([self.route, *map(str, self.words.values()), *[
            str(self.data[name]) for name in ("do", "form", "action") if name in self.data
        ]])  # fmt: skip


def sandbox(world: World) -> Any:
    found = world.places[HERE].sandbox
    found.refresh_from_db()
    return found


def paused(world: World) -> None:
    actions.pause(sandbox(world), by=NOBODY, wait=None)


def stopped(world: World) -> None:
    actions.stop(sandbox(world), by=NOBODY, wait=None)


def chosen(world: World) -> dict[str, Any]:
    return {"ids": world.places[HERE].sandbox.pk}


def launching(world: World) -> dict[str, Any]:
    User.objects.update(quota_sandboxes=100)
    return {"image": world.image.pk, "name": "new", "memory": "64m"}


def running_command(world: World) -> None:
    Command.objects.filter(pk=world.places[HERE].command.pk).update(status="running")


def seat_is(status: SeatStatus, **columns: Any) -> Prepare:
    def prepare(world: World) -> None:
        Seat.objects.filter(pk=world.places[HERE].seat.pk).update(status=status, **columns)

    return prepare


def seat_of_late_comer(world: World) -> None:
    """The student has a seat already: it is taken away, so that they come late."""
    mine = world.places[HERE].seat.pk
    Hand.objects.filter(seat=mine).delete()
    Seat.objects.filter(pk=mine).delete()


def asked_to_type(world: World) -> dict[str, Any]:
    who = world.users["instructor"]
    Seat.objects.filter(pk=world.places[HERE].seat.pk).update(typing_asked_by=who)
    return {"who": str(who.pk)}


def someone_types(world: World) -> None:
    Seat.objects.filter(pk=world.places[HERE].seat.pk).update(typist=world.users["instructor"])


def nobody_asks(world: World) -> None:
    Seat.objects.update(typing_asked_by=None, typist=None)


def asks_for_no_yes(world: World) -> None:
    nobody_asks(world)
    Course.objects.update(typing=Course.Typing.FREE)


def planned(world: World) -> None:
    Lab.objects.filter(pk=world.places[HERE].lab.pk).update(status=LabStatus.PLANNED)


def claimed(world: World) -> None:
    who = world.users["instructor"]
    Hand.objects.filter(pk=world.places[HERE].hand.pk).update(claimed_by=who, claimed_at=timezone.now())


def hand_down(world: World) -> None:
    Hand.objects.update(resolved_at=timezone.now())


def taken_out(world: World) -> None:
    Enrollment.objects.filter(pk=world.places[HERE].person.pk).update(removed_at=timezone.now())


def put_away(world: World) -> None:
    Course.objects.filter(pk=world.places[HERE].course.pk).update(archived_at=timezone.now())


def with_code(world: World) -> dict[str, Any]:
    return {"code": joining.new_code(world.places[HERE].course, NOBODY, 60)}


def with_invite(world: World) -> None:
    joining.new_invite(world.places[HERE].course, NOBODY)


def person(world: World) -> dict[str, Any]:
    one = world.places[HERE].person
    return {"name": "Another Name", "email": one.email, "student_id": "", "section": "B", "role": "student"}


def draft(world: World) -> dict[str, Any]:
    """A roster that was read and waits, and the token of what was seen."""
    course, client = world.places[HERE].course, world.browser("instructor")
    text = "name;email;id;section;role\nAda Lund;ada@x.org;77;A;\n"
    client.post(reverse("roster_paste", args=[course.pk]), {"text": text})
    page = client.get(reverse("roster_preview", args=[course.pk])).content.decode()
    return {"seen": page.partition('name="seen" value="')[2].partition('"')[0]}


def recipe(world: World) -> dict[str, Any]:
    return {"title": "Another", "sheet": "# A\n\n## One\n\nB.\n", "image": world.image.pk, "memory": "64m",
            "cpus": "1", "pids": "64", "network": "none", "base": "1"}  # fmt: skip


def plan(world: World) -> dict[str, Any]:
    return {"template": world.places[HERE].template.pk, "title": "Again", "minutes": "60", "late": "on"}


def failed_result(world: World) -> None:
    place = world.places[HERE]
    LabRunResult.objects.create(run=place.run, seat=place.seat, done=True, reason="It was not there.")


def published_by_none(world: World) -> None:
    world.places[HERE].template.__class__.objects.update(published=None)


def file(world: World) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("notes.txt", b"notes")}


def unsaved(world: World) -> None:
    until = timezone.now() + timedelta(hours=1)
    Seat.objects.filter(pk=world.places[HERE].seat.pk).update(
        status=SeatStatus.CLOSED, saved_name="", saved_at=None, saved_reason="The engine was away.",
    )  # fmt: skip
    sandbox(world).__class__.objects.filter(pk=sandbox(world).pk).update(expires_at=until)
    Lab.objects.filter(pk=world.places[HERE].lab.pk).update(status=LabStatus.CLOSED)


ACTS: tuple[Act, ...] = (
    *(Act("sandbox_act", f"sandbox.{word}", "staff", words={"action": word}, prepare=before)
      for word, before in {"start": stopped, "resume": paused, "pause": None, "extend": None, "restart": None,
                           "stop": None, "remove": None}.items()),
    Act("sandbox_act_many", "sandbox.pause", "staff", {"action": "pause"}, prepare=chosen),
    Act("sandbox_new", "sandbox.launch", "staff", prepare=launching),
    Act("command_run", "command.run", "student", {"command": "echo a"}),
    Act("command_cancel", "command.cancel", "student", prepare=running_command),
    Act("command_rerun", "command.run", "student"),
    Act("image_pull", "image.pull", "staff"),
    Act("profile", "user.profile", "student", {"form": "about", "first_name": "Al", "email": "a@x.org"}),
    Act("profile", "user.password", "student", {
        "form": "password", "old_password": PASSWORD, "new_password1": "a long pass phrase",
        "new_password2": "a long pass phrase"}),
    Act("sign_in", "user.sign_in", "anonymous", {"username": "alice", "password": PASSWORD}, actor="alice"),
    Act("sign_in", "user.sign_in", "anonymous", {"username": "alice", "password": "no", "do": "fail"},
        actor="alice"),
    Act("sign_out", "user.sign_out", "student"),
    Act("sign_in_link", "user.sign_in", "anonymous", actor="alice"),
    # courses and people
    Act("course_new", "course.create", "staff", {"title": "Nets", "typing": "ask"}),
    Act("course_settings", "course.change", data={"title": "Other", "typing": "ask"}),
    Act("course_settings", "course.archive", data={"do": "archive"}),
    Act("course_settings", "course.restore", data={"do": "restore"}, prepare=put_away),
    Act("course_join", "course.code", data={"do": "code"}),
    Act("course_join", "course.invite", data={"do": "invite"}),
    Act("course_join", "course.code_end", data={"do": "end_code"}, prepare=with_code),
    Act("course_join", "course.invite_end", data={"do": "end_invite"}, prepare=with_invite),
    Act("join", "course.join", "stranger", prepare=with_code),
    Act("join_invite", "course.join", "stranger"),
    Act("join_link", "user.sign_in", "anonymous"),
    Act("roster_preview", "roster.apply", prepare=draft),
    Act("roster_person", "roster.change", prepare=person),
    Act("roster_act", "roster.link_renew", words={"action": "renew"}),
    Act("roster_act", "roster.remove", words={"action": "remove"}),
    Act("roster_act", "roster.restore", words={"action": "restore"}, prepare=taken_out),
    Act("roster_mail", "roster.mail"),
    Act("roster_export", "roster.export", method="get"),
    Act("course_cards", "roster.cards", method="get"),
    # templates and labs
    Act("template_new", "template.create", prepare=recipe),
    Act("template_edit", "template.save", prepare=recipe),
    Act("template_act", "template.publish", words={"action": "publish"}, prepare=published_by_none),
    *(Act("template_act", f"template.{word}", words={"action": word})
      for word in ("unpublish", "clone", "remove")),
    Act("template_act", "lab.create", words={"action": "try"}),
    Act("lab_new", "lab.create", prepare=plan),
    Act("lab_act", "lab.open", words={"action": "open"}, prepare=planned),
    Act("lab_act", "lab.discard", words={"action": "discard"}, prepare=planned),
    Act("lab_act", "lab.extend", words={"action": "extend"}),
    Act("lab_act", "seat.retry", words={"action": "retry"}, prepare=seat_is(SeatStatus.FAILED)),
    Act("lab_act", "lab.latecomers", words={"action": "latecomers"}),
    Act("lab_act", "image.pull", words={"action": "pull"}),
    Act("lab_act", "lab.close", words={"action": "close"}),
    Act("lab_act", "lab.close_soon", words={"action": "close"}, data={"minutes": "5"}),
    Act("seat_extend", "seat.extend"),
    Act("seat_save", "seat.save_again", prepare=unsaved),
    # a student's seat
    Act("seat_join", "seat.take", "student", prepare=seat_of_late_comer),
    Act("seat_detail", "seat.join", "student", method="get"),
    Act("seat_step", "seat.step", "student", {"do": "done", "step": "1"}),
    Act("seat_step", "seat.step", "student", {"do": "undo", "step": "1"}),
    Act("seat_hand", "seat.hand", "student", {"text": "help"}),
    Act("seat_hand", "seat.hand", "student", {"do": "down"}),
    Act("seat_typing", "seat.typing", "student", {"do": "yes"}, prepare=asked_to_type),
    Act("seat_typing", "seat.typing", "student", {"do": "no"}, prepare=asked_to_type),
    Act("seat_typing", "seat.typing", "student", {"do": "end"}, prepare=someone_types),
    Act("seat_start_over", "seat.start_over", "student"),
    Act("seat_retry", "seat.retry", "student", prepare=seat_is(SeatStatus.FAILED)),
    Act("seat_work", "seat.download", "student", method="get"),
    # the room
    Act("hand_act", "hand.claim", words={"action": "claim"}),
    Act("hand_act", "hand.release", words={"action": "release"}, prepare=claimed),
    Act("hand_act", "hand.resolve", words={"action": "resolve"}),
    Act("look", "seat.look", method="get"),
    Act("look_act", "seat.ask", words={"action": "ask"}, prepare=nobody_asks),
    Act("look_act", "seat.ask", words={"action": "withdraw"}, prepare=asked_to_type),
    Act("look_act", "seat.typing", words={"action": "begin"}, prepare=asks_for_no_yes),
    Act("look_act", "seat.typing", words={"action": "stop"}, prepare=someone_types),
    Act("to_many", "lab.message", data={"do": "message", "text": "hello", "all": "1"}),
    Act("to_many", "lab.run", data={"do": "command", "command": "true", "all": "1"}),
    Act("to_many", "lab.run", data={"do": "file", "all": "1"}, prepare=file),
    Act("to_many", "seat.extend", data={"do": "extend", "minutes": "5", "all": "1"}),
    Act("to_many", "lab.run", data={"do": "pause", "all": "1"}),
    Act("to_many", "lab.run", data={"do": "resume", "all": "1"}, prepare=paused),
    Act("to_many", "lab.run", data={"do": "restart", "all": "1"}),
    Act("lab_run_retry", "lab.run", prepare=failed_result),
    Act("lab_run_csv", "lab.export", method="get"),
    Act("overview_csv", "lab.export", method="get"),
    Act("lab_work", "lab.download", method="get"),
    # recordings
    Act("recording_cast", "recording.watch", "student", method="get"),
    Act("recording_download", "recording.download", "student", method="get"),
)  # fmt: skip

NO_ACTS = {
    "home": "leads to the list",
    "roster_paste": "a draft that only its author sees; that it is applied is on record",
    "template_preview": "renders what is being written, keeps nothing",
}
"""Paths that take a POST and do nothing, and why."""

OPEN_POSTS = {"sign_in", "sign_out", "sign_in_link", "join", "join_invite", "join_link"}
"""Paths without a session that take a POST; the others of those answer machines."""


def address(act: Act, world: World) -> str:
    """Where it is pressed."""
    place = world.places[HERE]
    if act.route == "sign_in_link":
        return access.signin_path(world.users["student"])
    if act.route == "join_invite":
        return reverse("join_invite", args=[joining.new_invite(place.course, NOBODY)])
    if act.route == "join_link":
        return links.path(by_link(world))
    if act.route in OPEN_POSTS:
        return reverse(act.route)
    found = rules.address(act.route, world, place, place)
    if not act.words:
        return found
    kwargs = {name: act.words.get(name, value) for name, value in _kwargs(found).items()}
    return reverse(act.route, kwargs=kwargs)


def _kwargs(path: str) -> dict[str, Any]:
    from django.urls import resolve

    return dict(resolve(path).kwargs)


def by_link(world: World) -> Enrollment:
    """Somebody whose account was made for the course."""
    user = User.objects.create_user("card")
    course = world.places[HERE].course
    return Enrollment.objects.create(course=course, user=user, name="Card", account_made=True)
