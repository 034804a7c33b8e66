"""Ways into a course: the code, the invite link, the personal link; and staff's pages about them.

The pages that need no session name no course before the code or the link is right.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sandboxes.labs import cards, gate, guesses, joining, links, mailing, trail
from sandboxes.labs.models import Course, Enrollment
from sandboxes.lifecycle import refusals
from sandboxes.lifecycle.refusals import Refused
from sandboxes.views.filters import clean
from sandboxes.views.web import Request, back, origin, private, say, see_other, unkept

PAGES = ["GET", "HEAD", "POST"]
NO_INVITE = Refused("", "An invite link that leads nowhere.")
NO_LINK = Refused("", "A personal link that does not work.")


# -- the code and the invite link ---------------------------------------------------------------


@require_http_methods(PAGES)
def join(request: Request) -> HttpResponse:
    """Type the class code, then come in with an account or as a guest."""
    return guesses.remember(request, typed(request))


def typed(request: Request) -> HttpResponse:
    """The code's field, what was wrong with what was typed, or the way in."""
    code = clean(request.POST.get("code", "") or request.GET.get("code", ""))[:40]
    if request.method != "POST":
        return unkept(render(request, "labs/join.html", {"code": code}))
    if guesses.is_braked(request):
        return code_page(request, code, guesses.SLOW, 429)
    course = joining.by_code(code)
    if course is None:
        guesses.count(request)
        if guesses.is_crowded(request):
            return code_page(request, code, guesses.SLOW, 429)
        return code_page(request, code, joining.NO_CODE, 422)
    onward = f"{reverse('join')}?code={code.replace(' ', '')}"
    return come_in(request, course, "code", {"code": code, "onward": onward})


def code_page(request: Request, code: str, refusal: Refused, status: int) -> HttpResponse:
    """The code's field with what was wrong, which is on record in bounds; what was typed is not."""
    refusals.note("course.join", origin(request), refusal)
    return unkept(render(request, "labs/join.html", {"code": code, "problem": str(refusal)}, status=status))


@require_http_methods(PAGES)
def join_invite(request: Request, secret: str) -> HttpResponse:
    """Come in by the invite link."""
    course = joining.by_invite(secret)
    if course is None:
        refusals.note("course.join", origin(request), NO_INVITE)
        return unkept(render(request, "labs/join_gone.html", status=410))
    facts = {"onward": reverse("join_invite", args=[secret])}
    if request.method != "POST":
        return unkept(render(request, "labs/join_as.html", facts | {"course": course}))
    return come_in(request, course, "invite", facts)


def come_in(request: Request, course: Course, how: str, facts: dict[str, Any]) -> HttpResponse:
    """Join with the account one has, or as a guest, or ask which."""
    known: bool = request.user.is_authenticated
    if not known and "name" not in request.POST:
        return unkept(render(request, "labs/join_as.html", facts | {"course": course}))
    name = request.POST.get("name", "")
    try:
        if known:
            only = request.session.get(links.COURSE, "")
            joining.join(course, request.user, origin(request), how, only)
        else:
            links.enter(request, joining.join_as_guest(course, name, origin(request), how), "guest")
    except Refused as refusal:
        note(request, course, refusal)
        shown = {"course": course, "problem": str(refusal), "name": clean(name)}
        return unkept(render(request, "labs/join_as.html", facts | shown, status=422))
    return unkept(see_other(resolve_url("course_detail", course.pk)))


def note(request: Request, course: Course, refusal: Refused) -> None:
    """On record in bounds, with the course."""
    refusals.note("course.join", origin(request), refusal, None, **trail.places(course))


# -- the personal link --------------------------------------------------------------------------


@require_http_methods(PAGES)
def join_link(request: Request, pk: int, signature: str) -> HttpResponse:
    """The page shows a button, and only the button signs in: what previews links opens nothing."""
    person = links.person_of(pk, signature)
    if person is None:
        refusals.note("user.sign_in", origin(request), NO_LINK)
        return unkept(render(request, "labs/join_gone.html", {"personal": True}, status=410))
    course = resolve_url("course_detail", person.course_id)
    if request.user.pk == person.user_id:
        return unkept(HttpResponseRedirect(course))
    if not links.may_sign_in(person):
        text = f"You have an account here. Sign in with it to come to {person.course.title}."
        messages.info(request, text)
        return unkept(HttpResponseRedirect(f"{reverse('sign_in')}?next={course}"))
    may_adopt = request.user.is_authenticated and links.may_adopt(person, request.user)
    if request.method == "POST" and request.POST.get("do") == "adopt":
        if may_adopt:
            links.adopt(person, request.user, origin(request))
        return unkept(see_other(course))
    if request.method == "POST":
        links.enter(request, person, "personal link")
        return unkept(see_other(course))
    return unkept(render(request, "labs/join_link.html", {"person": person, "may_adopt": may_adopt}))


# -- staff's pages ------------------------------------------------------------------------------


@require_http_methods(PAGES)
@private
def course_join(request: Request, pk: str) -> HttpResponse:
    """The invite link and the class code: made, renewed, taken back."""
    need = gate.MANAGE if request.method == "POST" else gate.LOOK
    course = gate.get_course(request.user, pk, need)
    if request.method == "POST":
        return change(request, course)
    invite = reverse("join_invite", args=[course.invite]) if course.invite else ""
    context = {
        "course": course, "has_code": joining.has_code(course),
        "code": joining.spaced(course.join_code or ""),
        "invite": request.build_absolute_uri(invite) if invite else "", "lasts": joining.LASTS.items(),
        "may_manage": gate.can(request.user, course, gate.MANAGE),
    }  # fmt: skip
    return render(request, "labs/course_join.html", context)


def change(request: Request, course: Course) -> HttpResponse:
    """Do what the pressed button says."""
    act = ACTS.get(request.POST.get("do", ""))
    if act is None:
        return say(request, back(request, "course_join", course.pk), "warning", "That is not known here.")
    word = request.POST["do"]
    if "confirm" in request.GET and word in QUESTIONS:
        return ask(request, course, word)
    return say(request, back(request, "course_join", course.pk), "success", act(request, course))


QUESTIONS = {
    "code": ("Make a new code?", "The one that is shown now ends at once. Who has joined stays."),
    "invite": ("Renew the invite link?", "The present one leads nowhere from then on. Who has joined stays."),
}


def ask(request: Request, course: Course, word: str) -> HttpResponse:
    """The question that a script asks by itself."""
    question, consequence = QUESTIONS[word]
    fields = {"do": word, "minutes": request.POST.get("minutes", "")}
    context = {
        "question": question, "consequence": consequence, "word": "Renew", "action": request.path,
        "fields": fields, "keep": resolve_url("course_join", course.pk),
    }  # fmt: skip
    return render(request, "labs/confirm.html", context)


def renew_code(request: Request, course: Course) -> str:
    """A class code for as long as was chosen."""
    minutes = request.POST.get("minutes", "")
    joining.new_code(course, origin(request), int(minutes) if minutes in map(str, joining.LASTS) else 180)
    return "There is a new class code. The one before does not work any more."


def renew_invite(request: Request, course: Course) -> str:
    joining.new_invite(course, origin(request))
    return "There is a new invite link. The one before leads nowhere now."


def end_code(request: Request, course: Course) -> str:
    joining.end(course, origin(request), "join_code")
    return "The class code does not work any more."


def end_invite(request: Request, course: Course) -> str:
    joining.end(course, origin(request), "invite")
    return "The invite link leads nowhere now."


ACTS = {"code": renew_code, "invite": renew_invite, "end_code": end_code, "end_invite": end_invite}


@require_GET
@private
def course_code(request: Request, pk: str) -> HttpResponse:
    """The class code, large enough for the last row."""
    course = gate.get_course(request.user, pk)
    to = request.build_absolute_uri(reverse("join"))
    here = Enrollment.objects.students().filter(course=course).count()
    context = {
        "course": course, "code": joining.spaced(course.join_code or ""), "address": to.partition("://")[2],
        "qr": cards.qr(f"{to}?code={course.join_code}"), "here": here,
        "has_code": joining.has_code(course), "only_here": only_here(request),
    }  # fmt: skip
    return render(request, "labs/course_code.html", context)


def only_here(request: Request) -> str:
    """The name by which this page was opened, where it leads other people's devices to themselves."""
    host = request.get_host()
    name = host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]
    is_ours = name == "localhost" or name.endswith(".localhost") or name.startswith("127.") or name == "::1"
    return host if is_ours else ""


# -- links, on paper and by mail ------------------------------------------------------------------


@require_GET
@private
def course_cards(request: Request, pk: str) -> HttpResponse:
    """Cards to print and cut: for each their name and the way in."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    section = clean(request.GET.get("section", ""))
    rows = Enrollment.objects.students().filter(course=course, is_guest=False)
    rows = rows.select_related("user", "course")
    sections = rows.exclude(section="").order_by("section").values_list("section", flat=True).distinct()
    rows = rows.filter(section=section) if section else rows
    page = Paginator(rows.order_by("section", "name", "pk"), cards.ON_A_PAGE).get_page(
        request.GET.get("page")
    )
    trail.record("roster.cards", origin(request), course, cards=len(page.object_list))
    context = {
        "course": course, "page": page, "section": section, "sections": sections,
        "cards": cards.cards(page.object_list, request.build_absolute_uri),
        "has_mail": mailing.is_there(), "only_here": only_here(request),
        "unsent": len(mailing.waiting(course)) if mailing.is_there() else 0, "most": mailing.AT_ONCE,
    }  # fmt: skip
    return render(request, "labs/cards.html", context)


@require_POST
@private
def roster_mail(request: Request, pk: str) -> HttpResponse:
    """Mail their links to those who have none yet, some at a press."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    return mail(request, course, mailing.waiting(course), back(request, "course_cards", course.pk))


def mail(request: Request, course: Course, people: list[Enrollment], to: HttpResponse) -> HttpResponse:
    """Send, and tell what came of it."""
    try:
        done = mailing.send(course, people, origin(request), request.build_absolute_uri)
    except Refused as refusal:
        refusals.note("roster.mail", origin(request), refusal, None, **trail.places(course))
        return say(request, to, "warning", str(refusal))
    text = f"{done.sent} sent" + (f", {done.failed} not: the list of people says why" if done.failed else "")
    text += f"; {done.left} left, press again." if done.left else "."
    return say(request, to, "warning" if done.failed else "success", text)
