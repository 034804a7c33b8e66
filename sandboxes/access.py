"""THE gate: who may see and touch what. A missing sandbox and a forbidden one look alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.utils.module_loading import import_string

from .models import Recording, Sandbox, User

VIEW, ACT, TYPE = "view", "act", "type"
WATCH = "sandboxes.view_recording"


def can(user: Any, sandbox: Sandbox, permission: str) -> bool:
    """Whether this user may do that with this sandbox: owners and staff all, else who a backend says.

    Other wings answer through Django's own ``has_perm(perm, obj)``, so that nothing here names them.
    """
    if not user.is_active or not user.is_authenticated:
        return False
    if is_owners(user, sandbox):
        return True
    ruled = _ruled(user, sandbox) if permission == TYPE else None
    if ruled is not None:
        return ruled
    return user.is_staff or bool(user.has_perm(f"sandboxes.{permission}_sandbox", sandbox))


def is_owners(user: Any, sandbox: Sandbox) -> bool:
    """Whether it is this user's, and was not taken back from them."""
    if sandbox.owner_id != user.pk:
        return False
    if sandbox.taken_back is None:
        learn([sandbox])
    return not sandbox.taken_back


def learn(rows: Iterable[Sandbox]) -> None:
    """Ask once for many rows whether they were taken back from their owners; each row keeps the answer."""
    known = list(rows)
    back = set(_taken_back([row.pk for row in known])) if known else set()
    for row in known:
        row.taken_back = row.pk in back


def visible(user: Any) -> QuerySet[Sandbox]:
    """The rows of a list: their own that were not taken back; staff: all."""
    rows = Sandbox.objects.visible_to(user)
    return rows if user.is_staff else rows.exclude(pk__in=_taken_back(rows.values("pk")))


def _taken_back(ids: Any) -> Iterable[str]:
    """Those of these ids that SANDBOX_OWNER_RULE says were lent, and are their owners' no more."""
    rule = import_string(settings.SANDBOX_OWNER_RULE) if settings.SANDBOX_OWNER_RULE else None
    found: Iterable[str] = rule(ids) if rule else ()
    return found


def _ruled(user: Any, sandbox: Sandbox) -> bool | None:
    """What SANDBOX_TYPING_RULE says of somebody else's typing: yes, no, or nothing about this sandbox.

    It stands above staff: where a room has the rule "only after a yes", an admin asks as well.
    """
    rule = import_string(settings.SANDBOX_TYPING_RULE) if settings.SANDBOX_TYPING_RULE else None
    return rule(user, sandbox) if rule else None


def name_of(user: Any, sandbox: Sandbox | None = None) -> str:
    """What people call somebody: as SANDBOX_NAME_RULE says where this sandbox is, else their own name."""
    rule = import_string(settings.SANDBOX_NAME_RULE) if settings.SANDBOX_NAME_RULE else None
    known = rule(user, sandbox) if rule and sandbox is not None else ""
    return str(known or user.get_full_name() or user.get_username())


class Hidden(Http404):
    """Answered like any missing page. ``sandbox`` is the one that was hidden, None where there is none.

    ``what`` is the word for it: wings above core hide things of their own.
    """

    def __init__(self, sandbox: Sandbox | None, what: str = "sandbox") -> None:
        super().__init__(f"No such {what}.")
        self.sandbox, self.what = sandbox, what


def get_sandbox(user: Any, sandbox_id: str, permission: str = VIEW) -> Sandbox:
    """The sandbox, for someone who may; raises Hidden when it is missing or not theirs."""
    sandbox = Sandbox.objects.select_related("owner", "image").filter(pk=sandbox_id).first()
    if sandbox is None or not can(user, sandbox, permission):
        raise Hidden(sandbox)
    return sandbox


def can_watch(user: Any, sandbox_id: str, owner_id: int, row: Sandbox | None = None) -> bool:
    """Whether this user may replay what was recorded of a sandbox, also when it is gone.

    Its owner, auditors (staff with the permission ``sandboxes.view_recording``), and who a backend
    says for this sandbox; other staff may watch what is live, not what was. ``row`` is the sandbox's
    own, where it is known already.
    """
    if not user.is_active or not user.is_authenticated:
        return False
    row = row or Sandbox(pk=sandbox_id, owner_id=owner_id)
    if is_owners(user, row) or (user.is_staff and user.has_perm(WATCH)):
        return True
    sandbox = Sandbox.objects.filter(pk=sandbox_id).first()
    return sandbox is not None and bool(user.has_perm(WATCH, sandbox))


def get_recording(user: Any, sandbox_id: str, pk: str) -> Recording:
    """A sandbox's recording, for someone who may replay it; raises Hidden."""
    row = Recording.objects.filter(pk=pk, sandbox_id=sandbox_id).first()
    if row is None or not can_watch(user, sandbox_id, row.owner_id):
        sandbox = Sandbox.objects.select_related("owner").filter(pk=sandbox_id).first()
        raise Hidden(sandbox, "recording")
    return row


def signin_path(user: User) -> str:
    """The path of a sign-in link for this user; good once, and until SANDBOX's reset timeout.

    Django's own password-reset token: signing in changes ``last_login``, which spends it.
    """
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("sign_in_link", args=[uid, default_token_generator.make_token(user)])


def user_of_link(uid: str, token: str) -> User | None:
    """Whom a sign-in link is for, or None when it is wrong, spent or too old."""
    try:
        pk = int(urlsafe_base64_decode(uid).decode())
    except (ValueError, UnicodeDecodeError, OverflowError):
        return None
    user = User.objects.filter(pk=pk, is_active=True).first()
    return user if user and default_token_generator.check_token(user, token) else None
