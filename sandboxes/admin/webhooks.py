"""Webhooks in the admin: where events are posted to, tried out with a button, and what came of each post."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from sandboxes.lifecycle import audit, event_words
from sandboxes.lifecycle.feeds import delivering, patterns, posting, queueing
from sandboxes.models import Delivery, DeliveryState, Outcome, Webhook
from sandboxes.models.webhook import new_secret

from .base import ReadOnly, origin
from .recorded import Recorded

LATEST = 10
PLAIN = re.compile(r"[0-9]{1,18}")


class WebhookForm(forms.ModelForm):
    """What a webhook is; its secret is made here and shown once."""

    url = forms.CharField(
        label="URL", max_length=500, widget=forms.URLInput(attrs={"class": "vLargeTextField"}),
        help_text="Kept encrypted, since it may be a key in itself. Redirects are not followed.",
    )  # fmt: skip
    actions = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4, "cols": 40}), initial="*",
        help_text="One a line: * for all, sandbox.*, user.sign_in, and with an outcome *:refused.",
    )  # fmt: skip

    class Meta:
        model = Webhook
        fields = ("name", "url", "actions", "enabled")

    def clean_url(self) -> str:
        """A URL that can be posted to at all; whether its address may be is asked at each post."""
        url = str(self.cleaned_data["url"]).strip()
        try:
            posting.target(url)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        return url

    def clean_actions(self) -> str:
        """Patterns that fit at least one action each."""
        try:
            return patterns.lines(patterns.parse(self.cleaned_data["actions"]))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


@admin.register(Webhook)
class WebhookAdmin(Recorded):
    """Receivers of events. Each change is on record; the URL and the secret never are."""

    noun = "webhook"
    form = WebhookForm
    list_display = ("name", "enabled", "gets", "state", "waiting", "dropped", "log")
    list_filter = ("enabled",)
    search_fields = ("name",)

    def target_of(self, row: Webhook) -> audit.Target:
        return queueing.target(row)

    def get_urls(self) -> list[Any]:
        ours = {"test": self.test, "secret": self.renew}
        return [
            *(path(f"<int:pk>/{name}/", self._posted(view), name=f"sandboxes_webhook_{name}")
              for name, view in ours.items()),
            *super().get_urls(),
        ]  # fmt: skip

    def _posted(self, view: Any) -> Any:
        """For whoever may change webhooks, by POST."""

        def checked(request: HttpRequest, pk: int) -> HttpResponse:
            if not self.has_change_permission(request):
                raise PermissionDenied
            return view(request, get_object_or_404(Webhook, pk=pk))

        return self.admin_site.admin_view(require_POST(checked))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only look does not see the URL: it may be a key."""
        may = self.has_change_permission(request, obj) or self.has_add_permission(request)
        return WebhookForm.Meta.fields if may else ("name", "actions", "enabled")

    # -- the list ---------------------------------------------------------------------------------

    @admin.display(description="gets")
    def gets(self, hook: Webhook) -> str:
        return ", ".join(hook.actions.split())

    @admin.display(description="state")
    def state(self, hook: Webhook) -> str:
        return state(hook)

    @admin.display(description="waiting")
    def waiting(self, hook: Webhook) -> int:
        return queueing.waiting(hook)

    @admin.display(description="")
    def log(self, hook: Webhook) -> str:
        return format_html('<a href="{}">Deliveries</a>', log_url(hook))

    # -- one of them ------------------------------------------------------------------------------

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, form_url: str = "",
                        extra_context: Any = None) -> Any:  # fmt: skip
        """Beside the form: how it is doing, its latest deliveries, and all there is to choose from."""
        pk = int(object_id) if object_id and PLAIN.fullmatch(object_id) else None
        hook = Webhook.objects.filter(pk=pk).first() if pk else None
        context = {"choices": choices(), **(extra_context or {})}
        if hook is not None:
            context |= {"hook": hook, "state": state(hook), "waiting": queueing.waiting(hook)}
            context |= {"latest": hook.deliveries.order_by("-id")[:LATEST], "log_url": log_url(hook)}
        return super().changeform_view(request, object_id, form_url, context)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        """The one page with the secret."""
        return self._secret(request, obj, "was added")

    def test(self, request: HttpRequest, hook: Webhook) -> HttpResponse:
        """Post a made-up event now, whether it is enabled or not, and say what came of it."""
        answer = delivering.sample(hook, request.user.get_username())
        audit.record("webhook.test", origin(request), target=queueing.target(hook),
                     outcome=Outcome.OK if answer.went_well else Outcome.FAILED,
                     reason=answer.error, detail={"status": answer.status} if answer.status else {},
                     duration=answer.duration)  # fmt: skip
        level = messages.SUCCESS if answer.went_well else messages.ERROR
        messages.add_message(request, level, told(answer))
        return redirect("admin:sandboxes_webhook_change", hook.pk)

    @transaction.atomic
    def renew(self, request: HttpRequest, hook: Webhook) -> HttpResponse:
        """A new secret at once; the old one signs nothing any more."""
        before, hook.secret = hook.secret, new_secret()
        hook.save(update_fields=["secret"])
        self.note(request, "change", hook, {"secret": before}, {"secret": hook.secret})
        return self._secret(request, hook, "has a new secret")

    def _secret(self, request: HttpRequest, hook: Webhook, what: str) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "hook": hook, "what": what,
                   "title": f"Webhook {hook.name} {what}"}  # fmt: skip
        page = TemplateResponse(request, "admin/sandboxes/webhook/secret.html", context)
        page["Cache-Control"] = "no-store"
        return page


def state(hook: Webhook) -> str:
    """How it is doing, in a sentence."""
    if not hook.url or not hook.secret:
        return delivering.LOST
    if not hook.enabled:
        return "Switched off"
    if hook.dropping_since:
        return "Its queue is full; new events are left out"
    if not hook.failures:
        return "Delivering"
    since = f"{timezone.localtime(hook.failing_since):%Y-%m-%d %H:%M}" if hook.failing_since else "?"
    told = f"Failing since {since}, {hook.failures} times in a row"
    if hook.pause_until and hook.pause_until > timezone.now():
        told += f"; tried again at {timezone.localtime(hook.pause_until):%H:%M:%S}"
    return told


def told(answer: posting.Answer) -> str:
    """What came of a sample, for whoever pressed the button."""
    if answer.went_well:
        return f"It took the sample: {answer.status}, {answer.duration} ms."
    said = f" It said: {answer.text}" if answer.text else ""
    return f"It did not take the sample. {answer.error}{said}"


def log_url(hook: Webhook) -> str:
    """Its deliveries."""
    return f"{reverse('admin:sandboxes_delivery_changelist')}?webhook__id__exact={hook.pk}"


def choices() -> list[tuple[str, list[str]]]:
    """All actions there are, by what they are done to."""
    found: dict[str, list[str]] = {}
    for action in sorted(event_words.words()):
        found.setdefault(action.partition(".")[0], []).append(action)
    return list(found.items())


@admin.action(description="Send the selected deliveries again", permissions=["send"])
def send_again(modeladmin: Any, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
    """They wait once more; one event on record for each webhook."""
    counts: dict[Webhook, int] = {}
    with transaction.atomic():
        for row in rows.exclude(state=DeliveryState.WAITING).select_related("webhook"):
            delivering.again(row)
            counts[row.webhook] = counts.get(row.webhook, 0) + 1
        for hook, count in counts.items():
            target = queueing.target(hook)
            audit.record("webhook.resend", origin(request), target=target, detail={"count": count})
    total = sum(counts.values())
    messages.info(request, f"{total} {'waits' if total == 1 else 'wait'} to be sent again.")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    """The delivery log: read, and what ended sent again."""

    list_display = (
        "created_at",
        "webhook",
        "event",
        "state",
        "attempts",
        "status",
        "says",
        "took",
        "next_try_at",
    )
    list_filter = ("state", "webhook", "created_at")
    search_fields = ("action",)
    list_select_related = ("webhook",)
    show_full_result_count = False
    actions = (send_again,)

    def has_send_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("sandboxes.change_webhook"))

    @admin.display(description="event", ordering="number")
    def event(self, row: Delivery) -> str:
        url = reverse("admin:sandboxes_event_change", args=[row.event_id])
        return format_html('<a href="{}">{}</a> {}', url, row.action, row.event_id)

    @admin.display(description="it said")
    def says(self, row: Delivery) -> str:
        return row.error or row.answer or "–"

    @admin.display(description="took", ordering="duration")
    def took(self, row: Delivery) -> str:
        return "–" if row.duration is None else f"{row.duration} ms"
