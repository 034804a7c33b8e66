"""People: signing in and out, sign-in links, and one's own profile."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from sandboxes import access
from sandboxes.forms import ProfileForm, SignInForm, password_form
from sandboxes.lifecycle import audit, origins, quotas, refusals, snapshots
from sandboxes.models import Outcome, User

from . import throttle
from .web import Request, back, onward, origin, private, say, unkept

PAGES = ["GET", "HEAD", "POST"]
TOO_MANY = refusals.Refused("", "Too many wrong tries; asked to wait.")


@sensitive_post_parameters("password")
@require_http_methods(PAGES)
def sign_in(request: Request) -> HttpResponse:
    """Name and password; after too many wrong ones it asks to wait."""
    known: bool = request.user.is_authenticated
    if known:
        return HttpResponseRedirect(onward(request) or resolve_url("sandbox_list"))
    form = SignInForm(request, request.POST or None)
    wait = throttle.take(request) if request.method == "POST" else 0
    if not wait and form.is_valid():
        throttle.give_back(request)
        return enter(request, form.get_user(), "password")
    if request.method == "POST":
        not_in(request, wait)
    context = {"form": form, "next": onward(request), "wait": wait}
    return unkept(render(request, "people/sign_in.html", context, status=status(request, wait)))


def status(request: Request, wait: int) -> int:
    return 429 if wait else 422 if request.method == "POST" else 200


def not_in(request: Request, wait: int) -> None:
    """Record a refusal; the name only if somebody has it (people type passwords there)."""
    user = User.objects.filter(username=request.POST.get("username", "")[:150].replace("\0", "")).first()
    who = origins.of_request(request, user)
    if wait:
        refusals.note("user.sign_in", who, TOO_MANY)
        return
    audit.record("user.sign_in", who, outcome=Outcome.REFUSED, reason="Wrong name or password.")


def enter(request: Request, user: Any, how: str) -> HttpResponse:
    """Sign the person in under a new session key, and lead them to where they were going."""
    with transaction.atomic():
        login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
        audit.record("user.sign_in", origin(request), detail={"by": how})
    return throttle.remember(request, unkept(back(request, "sandbox_list")), user.get_username())


@require_http_methods(PAGES)
def admin_door(request: Request) -> HttpResponse:
    """Where the admin sends whom it does not let in: to the one sign-in page; who is in already may not."""
    known: bool = request.user.is_authenticated
    if known:
        raise PermissionDenied
    return redirect_to_login(onward(request) or resolve_url("admin:index"))


@require_POST
def sign_out(request: Request) -> HttpResponse:
    """End the session; open sockets of it are closed within two seconds. Nobody gets none by it.

    With ``?confirm`` (no script) whoever could not come back is asked first.
    """
    if "confirm" in request.GET and getattr(request, "parting", False):
        return render(request, "people/sign_out.html")
    known: bool = request.user.is_authenticated
    with transaction.atomic():
        if known:
            audit.record("user.sign_out", origin(request))
        logout(request)
    if not known:
        return unkept(back(request, "sign_in"))
    return say(request, back(request, "sign_in"), "success", "You are signed out.")


@require_http_methods(PAGES)
def sign_in_link(request: Request, uid: str, token: str) -> HttpResponse:
    """A link that is good once: the page shows a button, and only the button signs in."""
    user = access.user_of_link(uid, token)
    if user is None:
        return unkept(render(request, "people/link.html", status=410))
    if request.method == "POST":
        return enter(request, user, "link")
    return unkept(render(request, "people/link.html", {"person": user}))


@sensitive_post_parameters()
@require_http_methods(PAGES)
@private
def profile(request: Request) -> HttpResponse:
    """Name, e-mail, password and usage; each form is saved by itself."""
    which = request.POST.get("form") if request.method == "POST" else None
    about = ProfileForm(request.POST if which == "about" else None, instance=request.user)
    secret = password_form(request.user, request.POST if which == "password" else None)
    form = {"about": about, "password": secret}.get(which or "")
    if form is not None and form.is_valid():
        return saved(request, form, which or "")
    if form is not None:
        request.user.refresh_from_db()
        field, errors = next(iter(form.errors.items()))
        refusals.note(act(which or ""), origin(request), refusals.Refused(field, str(errors[0])))
    context = {"about": about, "secret": secret, "usage": quotas.usage(request.user)}
    return render(request, "people/profile.html", context, status=422 if request.method == "POST" else 200)


def act(which: str) -> str:
    """The action word of a form."""
    return "user.password" if which == "password" else "user.profile"


def saved(request: Request, form: Any, which: str) -> HttpResponse:
    """Save, keep this session alive through a new password, and put it on record."""
    with transaction.atomic():
        before = snapshots.of(User.objects.get(pk=request.user.pk), form.fields)
        form.save()
        told = {} if which == "password" else snapshots.of(request.user, form.fields)
        facts = snapshots.changes(before if told else {}, told)
        audit.record(act(which), origin(request), changes=facts)
    if which == "password":
        update_session_auth_hash(request, form.user)
    text = "Your password is set." if which == "password" else "Saved."
    return say(request, back(request, "profile"), "success", text)
