"""Which webhook gets which event: each event of the trail is looked at once; those wanted wait as rows."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.models import Cursor, Delivery, DeliveryState, Event, Outcome, Webhook

from . import cursor, patterns

NAME = "webhooks"


def target(hook: Webhook) -> audit.Target:
    """A webhook as the target of an event; never its URL, which may be a key."""
    return audit.Target("webhook", str(hook.pk), hook.name)


def run_round() -> bool:
    """Queue what the next piece of the trail holds for each webhook; whether more is waiting."""
    newest = cursor.newest()
    if newest <= cursor.of(NAME):
        return False
    hooks = list(Webhook.objects.filter(enabled=True))
    if not hooks:
        Cursor.objects.update_or_create(name=NAME, defaults={"number": newest})
        return False
    with cursor.once(NAME) as piece:
        for hook in hooks:
            _queue(hook, piece.numbered)
    return piece.is_full


def _queue(hook: Webhook, numbered: Sequence[tuple[int, Event]]) -> None:
    wanted = patterns.parse(hook.actions)
    fits = [one for one in numbered if _is_for(hook, wanted, one[1])]
    room = max(settings.SANDBOX_WEBHOOK_QUEUE - waiting(hook), 0)
    rows = [
        Delivery(webhook=hook, number=n, event_id=event.pk, action=event.action) for n, event in fits[:room]
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    _note_dropped(hook, len(fits) - len(rows))


def _is_for(hook: Webhook, wanted: list[str], event: Event) -> bool:
    """Not what was before it, and not what is about itself: its own failures would feed on themselves."""
    is_its_own = event.target_kind == "webhook" and event.target_id == str(hook.pk)
    return not is_its_own and event.at >= hook.created_at and patterns.wants(wanted, event)


def waiting(hook: Webhook) -> int:
    """How many events wait for it."""
    return hook.deliveries.filter(state=DeliveryState.WAITING).count()


def _note_dropped(hook: Webhook, count: int) -> None:
    """Count what found no room; say so on record when it begins."""
    rows = Webhook.objects.filter(pk=hook.pk)
    if not count:
        rows.exclude(dropping_since=None).update(dropping_since=None)
        return
    rows.update(dropped=F("dropped") + count)
    if rows.filter(dropping_since=None).update(dropping_since=timezone.now()):
        why = f"{settings.SANDBOX_WEBHOOK_QUEUE} events wait for it already; new ones are left out"
        audit.record("webhook.drop", audit.SYSTEM, target=target(hook), outcome=Outcome.FAILED, reason=why)
