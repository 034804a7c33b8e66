"""Keeps sessions that began with a personal link, and guests' sessions, to their one course.

It answers everything else with 403. Sockets need no second gate: the accounts of such sessions are in
no other course (else the session ends here), they can launch nothing of their own, and whoever renews
their link or takes them out ends the session itself (links.shut_out).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils.deprecation import MiddlewareMixin

from sandboxes import unsaid
from sandboxes.lifecycle import refusals
from sandboxes.lifecycle.refusals import Refused
from sandboxes.views.web import origin, unkept

from . import links
from .models import Enrollment, Hand, Lab, LabTemplate, Seat

FREE = {"sign_in", "sign_in_link", "sign_out", "healthz", "readyz", "join", "join_invite", "join_link"}
HOMES = {"home", "sandbox_list", "course_list"}
"""Where one lands without having chosen it: the course's page takes their place."""
SANDBOX = {"sandbox_detail", "sandbox_part", "sandbox_act", "command_run", "command_detail", "command_cancel",
           "command_rerun", "command_output", "recording_list", "recording_replay", "recording_cast",
           "recording_download"}  # fmt: skip
KEPT_OUT = {"course_list", "course_new"}
NOT_THEIRS = {"sandboxes", "images", "about"}
"""What pages need not offer them, since it would be refused."""
PARTING = (
    "You came in as a guest: once you sign out there is no way back to your place and what you made there."
)
ELSEWHERE = Refused("", "This session is for one course only.")
COURSES: dict[str, Callable[[str], Any]] = {
    "crs": lambda pk: pk,
    "tpl": lambda pk: LabTemplate.objects.filter(pk=pk).values_list("course_id", flat=True).first(),
    "lab": lambda pk: Lab.objects.filter(pk=pk).values_list("course_id", flat=True).first(),
    "seat": lambda pk: Seat.objects.filter(pk=pk).values_list("lab__course_id", flat=True).first(),
    "hand": lambda pk: Hand.objects.filter(pk=pk).values_list("seat__lab__course_id", flat=True).first(),
}
"""From an id's first part, or what a bare number is of, to the id of the course it is in."""
NUMBERED = {"hand_act": "hand"}
"""Paths that name a thing by its number."""


class OneCourse(MiddlewareMixin):
    """See the module."""

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """None lets it through."""
        if not links.is_limited(request) or not request.user.is_authenticated:
            return None
        if request.user.has_usable_password():
            links.lift(request)
            return None
        place = links.place_of(request)
        if place is None:
            return over(request)
        tell(request, place)
        return None if is_within(request, view, kwargs, place) else elsewhere(request, place)


def tell(request: Any, place: Enrollment) -> None:
    """What the frame of each page needs to know of such a session."""
    request.known_as = place.name
    request.not_theirs = NOT_THEIRS | ({"profile"} if place.is_guest else set())
    request.parting = PARTING if place.is_guest else ""


def is_within(request: HttpRequest, view: Any, kwargs: dict[str, Any], place: Enrollment) -> bool:
    """Whether this request is about their one course."""
    match = request.resolver_match
    name = (match.url_name if match else "") or ""
    if name in FREE:
        return True
    if name == "profile":
        return not place.is_guest and (request.method != "POST" or request.POST.get("form") == "password")
    if name in SANDBOX:
        return Seat.objects.filter(sandbox_id=kwargs["pk"], enrollment__course=place.course_id).exists()
    if name in KEPT_OUT or not view.__module__.startswith("sandboxes.labs."):
        return False
    return course_of(str(kwargs.get("pk", "")), NUMBERED.get(name)) == place.course_id


def course_of(pk: str, kind: str | None = None) -> str | None:
    """The course that something is in, by its id, or by its number and what it is."""
    find = COURSES.get(kind or pk.partition("_")[0])
    return find(pk) if find else None


def elsewhere(request: HttpRequest, place: Enrollment) -> HttpResponse:
    """To the course's page from where one lands by itself, else 403; only that is on record."""
    match = request.resolver_match
    if request.method in ("GET", "HEAD") and match and match.url_name in HOMES:
        return unkept(HttpResponseRedirect(resolve_url("course_detail", place.course_id)))
    refusals.note("course.leave", origin(request), ELSEWHERE, path=unsaid.path_of(request))  # type: ignore[arg-type]
    return unkept(render(request, "labs/join_only.html", {"place": place}, status=403))


def over(request: HttpRequest) -> HttpResponse:
    """Their place, or the link they came by, is no more: signed out, with a sentence."""
    logout(request)
    messages.info(request, "Your way into the course has ended. Ask for a new link, or sign in.")
    return unkept(HttpResponseRedirect(resolve_url("sign_in")))
