"""Courses: the list, a new one, one's page for staff and for students, its settings."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from sandboxes.labs import gate, joining, lab_templates, members
from sandboxes.labs.forms_people import CourseForm, note, posted
from sandboxes.labs.models import Course, Enrollment
from sandboxes.lifecycle import refusals
from sandboxes.views.middleware import KnownRefusal
from sandboxes.views.web import Request, back, origin, private, say

PAGES = ["GET", "HEAD", "POST"]


@require_GET
@private
def course_list(request: Request) -> HttpResponse:
    """The courses this person teaches or learns in; for staff the others too."""
    places, others = list(members.places_of(request.user)), members.others(request.user)
    counts = members.count([place.course for place in places] + others)
    context = {
        "teaching": [(one.course, one, counts[one.course_id]) for one in places if one.is_staff],
        "learning": [(one.course, one, counts[one.course_id]) for one in places if not one.is_staff],
        "others": [(course, None, counts[course.pk]) for course in others],
        "archived": members.archived(request.user),
        "may_create": gate.may_create(request.user),
    }
    return render(request, "labs/course_list.html", context)


@require_http_methods(PAGES)
@private
def course_new(request: Request) -> HttpResponse:
    """The form of a new course; who makes it is its instructor."""
    if not gate.may_create(request.user):
        refusals.note("course.create", origin(request), refusals.Refused("", "They may not make courses."))
        raise KnownRefusal
    form = CourseForm(posted(request))
    if request.method == "POST" and form.is_valid():
        course = members.create(request.user, origin(request), form.cleaned_data)
        return back(request, "course_detail", course.pk)
    if form.errors:
        note("course.create", origin(request), form)
    return render(request, "labs/course_new.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
@private
def course_detail(request: Request, pk: str) -> HttpResponse:
    """A course: for its staff who is in it and what goes on, for a student their own seats."""
    course, mine = members.get_course(request.user, pk)
    if not gate.can(request.user, course, gate.LOOK):
        assert mine is not None
        context = {"course": course, "mine": mine, "labs": members.labs_for(mine)}
        return render(request, "labs/course_learn.html", context)
    return render(request, "labs/course.html", for_staff(request, course, mine))


def for_staff(request: Request, course: Course, mine: Enrollment | None) -> dict[str, Any]:
    """What the staff's page shows."""
    sections, staff = members.sections(course), members.staff(course)
    labs = course.labs.filter(is_trial=False).select_related("version__template")
    return {
        "course": course, "mine": mine, "sections": sections, "staff": staff,
        "students": sum(one["students"] for one in sections),
        "may_manage": gate.can(request.user, course, gate.MANAGE),
        "labs": labs.defer("version__files"), "ready": lab_templates.published(course).count(),
        "has_code": joining.has_code(course),
    }  # fmt: skip


@require_http_methods(PAGES)
@private
def course_settings(request: Request, pk: str) -> HttpResponse:
    """Title and rules of a course; putting it away and taking it back."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    if request.POST.get("do") in ("archive", "restore"):
        return put_away(request, course, request.POST["do"] == "archive")
    known = {name: getattr(course, name) for name in members.SETTINGS}
    form = CourseForm(posted(request), initial=known)
    if request.method == "POST" and form.is_valid():
        members.change(course, origin(request), form.cleaned_data)
        return say(request, back(request, "course_detail", course.pk), "success", "Saved.")
    if form.errors:
        note("course.change", origin(request), form, course)
    context = {"form": form, "course": course}
    return render(request, "labs/course_settings.html", context, status=422 if form.errors else 200)


def put_away(request: Request, course: Course, away: bool) -> HttpResponse:
    """Archive or restore it."""
    members.archive(course, origin(request), away)
    text = "The course is archived. Nobody can join it now." if away else "The course is restored."
    return say(request, back(request, "course_detail", course.pk), "success", text)
