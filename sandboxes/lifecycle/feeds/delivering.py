"""Posting what waits: each webhook in its own thread, again and again with growing pauses, for a day.

A receiver that does not answer is left alone for a while as a whole, so that it costs one try a pause
however much waits for it, and no other webhook waits for its time-outs.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.models import Delivery, DeliveryState, Event, Outcome, Webhook

from . import lines, posting
from .queueing import target

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Webhooks that are posted to at a time."""
TURN = 5.0
"""Seconds for which one webhook is posted to before others get its thread."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0
GIVE_UP = timedelta(days=1)
SAID = 3
"""Failures in a row after which it is on record: one is bad luck."""
SWEEP = 600.0

_pool: ThreadPoolExecutor | None = None
_busy: set[int] = set()
_lock = threading.Lock()
_swept = 0.0


def run_round() -> bool:
    """Begin to post to each webhook for which something is due; never waits for any of them."""
    sweep()
    for hook in due():
        if _take(hook.pk):
            _begin(hook.pk)
    return False


def due() -> list[Webhook]:
    """Enabled webhooks that are not left alone now, with something to post."""
    now = timezone.now()
    ready = Delivery.objects.filter(webhook=OuterRef("pk"), state=DeliveryState.WAITING, next_try_at__lte=now)
    rested = Q(pause_until=None) | Q(pause_until__lte=now)
    return list(Webhook.objects.filter(rested, Exists(ready), enabled=True))


def _take(pk: int) -> bool:
    with _lock:
        if pk in _busy:
            return False
        _busy.add(pk)
    return True


def _begin(pk: int) -> None:
    global _pool
    if not settings.SANDBOX_WORKERS:
        _turn(pk)
        return
    _pool = _pool or ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")
    _pool.submit(_turn_apart, pk)


def _turn_apart(pk: int) -> None:
    try:
        _turn(pk)
    finally:
        connection.close()


def drain(seconds: float) -> bool:
    """Wait until no post is under way; False when time is up first."""
    end = time.monotonic() + seconds
    while _busy and time.monotonic() < end:
        time.sleep(0.02)
    return not _busy


def _turn(pk: int) -> None:
    """Post to one webhook, the oldest first, until nothing is due, it fails as a whole, or time is up."""
    end = time.monotonic() + TURN
    try:
        while time.monotonic() < end and _next(pk):
            pass
    except Exception:
        log.exception("Posting to webhook %s broke", pk)
    finally:
        with _lock:
            _busy.discard(pk)


def _next(pk: int) -> bool:
    """Post the next one; whether to go on."""
    hook = next((one for one in due() if one.pk == pk), None)
    if hook is None:
        return False
    rows = hook.deliveries.filter(state=DeliveryState.WAITING, next_try_at__lte=timezone.now())
    delivery = rows.order_by("number").first()
    if delivery is None:
        return False
    event = Event.objects.filter(pk=delivery.event_id).first()
    answer = send(hook, event) if event else posting.Answer(error="The event was pruned from the trail.")
    settle(hook, delivery, answer, is_final=event is None)
    return not answer.is_down


def send(hook: Webhook, event: Event) -> posting.Answer:
    """One attempt; the same name every time, so that a receiver knows what it has already."""
    return _post(hook, f"evt_{event.pk}", event)


LOST = "Its URL or secret cannot be read: SANDBOX_SECRET_KEY was changed. Give it both anew."


def _post(hook: Webhook, name: str, event: Event) -> posting.Answer:
    if not hook.url or not hook.secret:
        return posting.Answer(error=LOST)
    return posting.post(hook.url, hook.secret, name, body(event))


def body(event: Event) -> bytes:
    """What is posted: the action as its type, when it was, and the event itself."""
    told = lines.shared(event)
    return lines.dump({"type": event.action, "timestamp": told["at"], "data": told}).encode()


def pause(attempts: int, wait: int = 0) -> timedelta:
    """How long to wait after so many attempts: doubled each time, and never all at the same moment."""
    seconds = min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
    return timedelta(seconds=max(seconds, wait))


def settle(hook: Webhook, delivery: Delivery, answer: posting.Answer, is_final: bool = False) -> None:
    """Write down what came of an attempt, for the delivery and for its webhook."""
    now = timezone.now()
    attempts = delivery.attempts + 1
    columns: dict[str, Any] = {
        "attempts": attempts, "status": answer.status, "answer": answer.text,
        "error": answer.error, "duration": answer.duration,
    }  # fmt: skip
    if answer.went_well:
        columns |= {"state": DeliveryState.DELIVERED, "ended_at": now, "next_try_at": None}
    elif is_final or now - delivery.created_at >= GIVE_UP:
        columns |= {"state": DeliveryState.GIVEN_UP, "ended_at": now, "next_try_at": None}
    else:
        columns |= {"next_try_at": now + pause(attempts, answer.wait)}
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(**columns)
        if answer.went_well:
            _well(hook)
        elif not is_final:
            _failed(hook, answer, now)


def _well(hook: Webhook) -> None:
    """It answers: whatever was wrong is over."""
    Webhook.objects.filter(pk=hook.pk).exclude(failures=0).update(
        failures=0, failing_since=None, pause_until=None
    )
    if hook.failures >= SAID:
        audit.record("webhook.recover", audit.SYSTEM, target=target(hook))


def _failed(hook: Webhook, answer: posting.Answer, now: datetime) -> None:
    failures = hook.failures + 1
    until = now + pause(failures, answer.wait) if answer.is_down else None
    Webhook.objects.filter(pk=hook.pk).update(
        failures=F("failures") + 1, failing_since=hook.failing_since or now, pause_until=until
    )
    if failures == SAID:
        audit.record("webhook.fail", audit.SYSTEM, target=target(hook), outcome=Outcome.FAILED,
                     reason=answer.error)  # fmt: skip


def sweep() -> None:
    """Now and then: give up what has waited for a day, and forget what ended long ago."""
    global _swept
    if time.monotonic() - _swept < SWEEP and _swept:
        return
    _swept = time.monotonic()
    now = timezone.now()
    for hook in Webhook.objects.all():
        _give_up(hook, now)
    ended = Delivery.objects.exclude(state=DeliveryState.WAITING)
    ended.filter(ended_at__lt=now - timedelta(days=settings.SANDBOX_KEEP_DAYS)).delete()


def _give_up(hook: Webhook, now: datetime) -> None:
    """What waited for a day without an answer; one line on record for all of it."""
    late = hook.deliveries.filter(state=DeliveryState.WAITING, created_at__lte=now - GIVE_UP)
    with transaction.atomic():
        count = late.update(state=DeliveryState.GIVEN_UP, ended_at=now, next_try_at=None)
        if count:
            audit.record("webhook.give_up", audit.SYSTEM, target=target(hook), outcome=Outcome.FAILED,
                         detail={"count": count}, reason="a day without success")  # fmt: skip


def sample(hook: Webhook, by: str) -> posting.Answer:
    """Post a made-up event, whatever the webhook wants, and say what came of it."""
    event = Event(pk=0, at=timezone.now(), action="webhook.test", actor_name=by, target_kind="webhook",
                  target_id=str(hook.pk), target_name=hook.name)  # fmt: skip
    return _post(hook, f"test_{int(time.time() * 1000)}", event)


def again(delivery: Delivery) -> None:
    """Let it wait to be posted once more, from now on for a day; its webhook is not left alone any longer."""
    now = timezone.now()
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(
            state=DeliveryState.WAITING, attempts=0, created_at=now, next_try_at=now, ended_at=None
        )
        Webhook.objects.filter(pk=delivery.webhook_id).update(pause_until=None)
