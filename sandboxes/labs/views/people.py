"""The people of a course: the list, a roster read, shown and applied, one person, everybody as CSV."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render, resolve_url
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sandboxes.access import Hidden
from sandboxes.labs import gate, links, people, roster, roster_lines, trail
from sandboxes.labs.forms_people import PersonForm, RosterForm, note, posted
from sandboxes.labs.models import Course, Enrollment, Role, RosterDraft
from sandboxes.lifecycle.refusals import Refused
from sandboxes.views.filters import clean
from sandboxes.views.web import Request, back, origin, private, say

PAGES = ["GET", "HEAD", "POST"]
ON_A_PAGE = 100
SHOWN = 300
"""How many of a kind the preview shows; it says how many there are."""


@require_GET
@private
def roster_list(request: Request, pk: str) -> HttpResponse:
    """Everybody in the course, searched and filtered."""
    course = gate.get_course(request.user, pk)
    wish = {name: clean(request.GET.get(name, ""))[:100] for name in ("q", "role", "section", "show")}
    page = Paginator(wished(course, wish), ON_A_PAGE).get_page(request.GET.get("page"))
    everybody = Enrollment.objects.filter(course=course)
    sections = everybody.active().exclude(section="").order_by("section").values_list("section", flat=True)
    context = {
        "course": course, "page": page, "wish": wish, "sections": sections.distinct(), "roles": Role.choices,
        "count": everybody.active().count(), "gone": everybody.exclude(removed_at=None).count(),
        "is_narrow": any(wish.values()), "may_manage": gate.can(request.user, course, gate.MANAGE),
    }  # fmt: skip
    return render(request, "labs/roster.html", context)


def wished(course: Course, wish: dict[str, str]) -> QuerySet[Enrollment]:
    """The people asked for; who was taken out only when asked for."""
    rows = Enrollment.objects.filter(course=course).select_related("user")
    rows = rows.exclude(removed_at=None) if wish["show"] == "removed" else rows.filter(removed_at=None)
    if wish["q"]:
        fields = ("name", "email", "student_id", "user__username")
        matches = [Q(**{f"{name}__icontains": wish["q"]}) for name in fields]
        rows = rows.filter(matches[0] | matches[1] | matches[2] | matches[3])
    exact = {name: wish[name] for name in ("role", "section") if wish[name]}
    return rows.filter(**exact).order_by("name", "pk")


@require_http_methods(PAGES)
@private
def roster_paste(request: Request, pk: str) -> HttpResponse:
    """Paste or upload a roster; nothing changes before its preview is applied."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    form = RosterForm(posted(request), request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            roster.keep(course, request.user, form.reading())
            return back(request, "roster_preview", course.pk)
        except Refused as refusal:
            form.add_error(refusal.field or "text", str(refusal))
    if form.errors:
        note("roster.read", origin(request), form, course)
    context = {"course": course, "form": form}
    return render(request, "labs/roster_paste.html", context, status=422 if form.errors else 200)


@require_http_methods(PAGES)
@private
def roster_preview(request: Request, pk: str) -> HttpResponse:
    """What the roster would change; applied exactly as shown, else shown again."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    draft = RosterDraft.objects.filter(course=course, user=request.user).first()
    if draft is None:
        return say(request, back(request, "roster_list", course.pk), "info", "No roster waits to be applied.")
    if request.method == "POST" and request.POST.get("do") == "discard":
        draft.delete()
        return say(request, back(request, "roster_list", course.pk), "info", "Nothing was changed.")
    if request.method == "POST":
        return apply(request, course, draft)
    return preview(request, course, draft)


def preview(request: Request, course: Course, draft: RosterDraft, problem: str = "") -> HttpResponse:
    """The changes as they would be now; 409 with what stood in the way."""
    changes = roster.compare(draft, request.user)
    odd = [(line, why) for line in roster_lines.lines_of(draft.lines) if (why := roster_lines.odd(line))]
    context = {"course": course, "draft": draft, "changes": changes, "most": SHOWN, "problem": problem,
               "odd": odd}  # fmt: skip
    return render(request, "labs/roster_preview.html", context, status=409 if problem else 200)


def apply(request: Request, course: Course, draft: RosterDraft) -> HttpResponse:
    """Do it, or say why not and show it again."""
    by = origin(request)
    try:
        done = roster.apply(draft, by, request.user, request.POST.get("seen", ""), ticked(request, draft),
                            numbers(request, "theirs"))  # fmt: skip
    except roster.Stale:
        refused(request, course, "roster.apply", roster.STALE)
        return preview(request, course, draft, roster.STALE)
    except Refused as refusal:
        refused(request, course, "roster.apply", str(refusal))
        return preview(request, course, draft, str(refusal))
    text = f"{len(done.new)} new, {len(done.changed)} changed, {len(done.missing)} taken out."
    return say(request, back(request, "roster_list", course.pk), "success", f"The roster is applied: {text}")


def ticked(request: Request, draft: RosterDraft) -> set[int]:
    """Whom to take out: those ticked, or all that are missing."""
    if request.POST.get("remove_all"):
        return set(Enrollment.objects.filter(course=draft.course_id).values_list("pk", flat=True))
    return numbers(request, "remove")


def numbers(request: Request, name: str) -> set[int]:
    """The numbers among what was ticked."""
    given = (one for one in request.POST.getlist(name) if len(one) < 20)  # longer ones are nobody's
    return {int(one) for one in given if one.isascii() and one.isdigit()}


def refused(request: Request, course: Course, action: str, reason: str) -> None:
    trail.record(action, origin(request), course, outcome=trail.Outcome.REFUSED, reason=reason)


# -- one person ---------------------------------------------------------------------------------


def get_person(course: Course, number: int) -> Enrollment:
    """Somebody of this course, taken out or not; raises Hidden."""
    found = Enrollment.objects.select_related("user", "course").filter(course=course, pk=number).first()
    if found is None:
        raise Hidden(None, "course")
    return found


@require_http_methods(PAGES)
@private
def roster_person(request: Request, pk: str, person: int) -> HttpResponse:
    """What the roster says of one person, to be changed."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    one = get_person(course, person)
    known = {name: getattr(one, name) for name in PersonForm.base_fields}
    form = PersonForm(posted(request), initial=known)
    if request.method == "POST" and form.is_valid():
        try:
            people.change(one, request.user, origin(request), form.cleaned_data)
            return say(request, back(request, "roster_list", course.pk), "success", f"{one.name}: saved.")
        except Refused as refusal:
            form.add_error(refusal.field, str(refusal))
            one = get_person(course, person)
    if form.errors:
        note("roster.change", origin(request), form, course)
    link = request.build_absolute_uri(links.path(one)) if links.may_sign_in(one) else ""
    context = {"course": course, "person": one, "form": form, "roles": Role.choices, "link": link}
    return render(request, "labs/roster_person.html", context, status=422 if form.errors else 200)


@require_POST
@private
def roster_act(request: Request, pk: str, person: int, action: str) -> HttpResponse:
    """Take somebody out, bring them back, renew their link."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    act = ACTS.get(action)
    if act is None:
        raise Hidden(None, "course")
    one = get_person(course, person)
    if "confirm" in request.GET and action == "renew":
        return ask(request, one)
    try:
        level, text = act(request, one)
    except Refused as refusal:
        refused(request, course, f"roster.{action}", str(refusal))
        level, text = "warning", str(refusal)
    return say(request, back(request, "roster_person", course.pk, one.pk), level, text)


def ask(request: Request, one: Enrollment) -> HttpResponse:
    """The question that a script asks by itself."""
    context = {
        "question": f"Renew the link of {one.name}?", "word": "Renew", "action": request.path,
        "consequence": "The present one, on a printed card too, does not work any more, and whoever came "
        "by it is signed out.", "keep": resolve_url("roster_person", one.course_id, one.pk),
    }  # fmt: skip
    return render(request, "labs/confirm.html", context)


Said = tuple[str, str]


def remove(request: Request, one: Enrollment) -> Said:
    """Out, with their work kept."""
    done = people.remove(one, request.user, origin(request))
    text = f"{one.name} is taken out. Their work is kept; here you can bring them back."
    return ("success", text) if done else ("info", f"{one.name} is out already.")


def restore(request: Request, one: Enrollment) -> Said:
    """In again."""
    done = people.restore(one, origin(request))
    return ("success", f"{one.name} is back.") if done else ("info", f"{one.name} is in the course.")


def renew(request: Request, one: Enrollment) -> Said:
    """Another personal link."""
    links.renew(one, origin(request))
    return "success", f"{one.name} has a new link. The old one, and whoever came by it, is out."


ACTS: dict[str, Any] = {"remove": remove, "restore": restore, "renew": renew}


@require_GET
@private
def roster_export(request: Request, pk: str) -> HttpResponse:
    """Everybody as CSV; that it was taken is on record."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    trail.record("roster.export", origin(request), course, people=course.enrollments.count())
    return people.export(course)
