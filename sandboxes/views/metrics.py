"""/metrics for Prometheus: read from the database at each scrape, so that every web process says the same.

No name of a person, a sandbox or an image is ever a label: what is labelled has few values.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from sandboxes.lifecycle.feeds import tallies
from sandboxes.models import (
    ENDED,
    Command,
    Cursor,
    Delivery,
    DeliveryState,
    Event,
    Lease,
    Outcome,
    Sandbox,
    Seal,
    Status,
    Terminal,
    Webhook,
)

from .health import last_round
from .site import engine_since

MOST = 10_000
"""Rows that are counted one by one at most."""


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures, for whoever has the token; to all others there is no such page."""
    if not is_allowed(request.headers.get("Authorization", "")):
        raise Http404("No such page.")
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=kind)


def is_allowed(header: str) -> bool:
    """Whether this is ``Bearer`` and SANDBOX_METRICS_TOKEN; never without one."""
    token = settings.SANDBOX_METRICS_TOKEN
    expected = f"Bearer {token}".encode()
    return bool(token) and hmac.compare_digest(header.encode("utf-8", "replace"), expected)


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sandboxes_{name}", text, value=value)


def labelled(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"sandboxes_{name}", text, labels=[label])
    for word, value in values:
        family.add_metric([word], value)
    return family


class FromDatabase(Collector):
    """Everything the database knows; a handful of queries, none of which grows with the trail."""

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: registering must not ask the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families, as they are now."""
        yield from sandboxes()
        yield from counters(tallies.read())
        yield gauge(
            "terminals_open", "Terminals that are open.", Terminal.objects.filter(ended_at=None).count()
        )
        running = Command.objects.filter(status="running").count()
        yield gauge("commands_running", "Commands that run now.", running)
        yield queues()
        yield from loops()
        yield from trail()
        yield from webhooks()
        yield gauge("engine_reachable", "1 while the engine answers this process.", engine_since() is None)


def sandboxes() -> Iterator[Metric]:
    """What is there, without what was removed: that is in the counters."""
    rows = Sandbox.objects.exclude(status__in=ENDED).values_list("status", "pending")
    found = {word: 0 for word in Status.values if word not in ENDED}
    pending: dict[str, int] = {}
    for status, action, count in rows.annotate(count=Count("pk")).order_by():
        found[status] += count
        if action:
            pending[action] = pending.get(action, 0) + count
    yield labelled("sandboxes", "Sandboxes by status.", "status", found.items())
    yield labelled("sandboxes_pending", "Sandboxes by action under way.", "action", sorted(pending.items()))


def counters(found: dict[tallies.Key, int]) -> Iterator[Metric]:
    """Events by action and outcome, launches and commands by how they ended, the time to running."""
    every = CounterMetricFamily("sandboxes_events", "Audit events.", labels=["action", "outcome"])
    for (name, label), count in sorted(found.items()):
        if name not in (tallies.LAUNCH, tallies.LAUNCH_SUM):
            every.add_metric([name, label], count)
    yield every
    for word, action in (("launches", "sandbox.launch"), ("commands", "command.run")):
        family = CounterMetricFamily(f"sandboxes_{word}", f"Ended {word} by outcome.", labels=["outcome"])
        for outcome in (Outcome.OK, Outcome.FAILED, Outcome.REFUSED):
            family.add_metric([outcome.value], found.get((action, outcome.value), 0))
        yield family
    yield launch_seconds(found)


def launch_seconds(found: dict[tallies.Key, int]) -> Metric:
    """From the request until it runs."""
    ends = [*(f"{end:g}" for end in tallies.BUCKETS), "+Inf"]
    total, buckets = 0, []
    for index, end in enumerate(ends):
        total += found.get((tallies.LAUNCH, str(index)), 0)
        buckets.append((end, float(total)))
    family = HistogramMetricFamily(
        "sandboxes_launch_seconds", "Seconds from a launch's request until it runs."
    )
    family.add_metric([], buckets, found.get((tallies.LAUNCH_SUM, ""), 0) / 1000)
    return family


def queues() -> Metric:
    """Sandboxes that wait for the engine, and what the wings above let wait."""
    lengths = {"launches": Sandbox.objects.filter(status=Status.QUEUED).count()}
    for name, path in settings.SANDBOX_QUEUES.items():
        lengths[name] = import_string(path)()
    return labelled("queue_length", "What waits, by queue.", "queue", lengths.items())


def loops() -> Iterator[Metric]:
    """How old each loop's last round is, and whether it was without an error."""
    now = timezone.now()
    rows = Lease.objects.exclude(name__startswith="process:").values_list("name", "report")
    known = [(name, at, bool(report.get("error"))) for name, report in rows if (at := last_round(report))]
    ages = [(name, (now - at).total_seconds()) for name, at, _ in known]
    yield labelled("loop_age_seconds", "Seconds since a loop's last round.", "loop", ages)
    yield labelled(
        "loop_ok", "1 if the last round had no error.", "loop", [(n, not bad) for n, _, bad in known]
    )


def trail() -> Iterator[Metric]:
    """How far the seals are behind the events, and the feeds behind the seals."""
    last = Seal.objects.order_by("-number").values_list("number", "event_id").first() or (0, 0)
    waiting = list(Event.objects.filter(pk__gt=last[1]).order_by("pk").values_list("at", flat=True)[:MOST])
    yield gauge("audit_unsealed", f"Events without a seal, {MOST} at most.", len(waiting))
    yield gauge("audit_seal_lag_seconds", "Age of the oldest event without a seal.", age(waiting))
    feeds = [(one.name, max(last[0] - one.number, 0)) for one in Cursor.objects.order_by("name")]
    yield labelled("feed_lag", "Sealed events that a feed has not dealt with.", "feed", feeds)


def webhooks() -> Iterator[Metric]:
    """What waits to be posted, and how many receivers fail."""
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING).count()
    yield gauge("webhook_backlog", "Events that wait to be posted.", waiting)
    failing = Webhook.objects.filter(enabled=True).exclude(failing_since=None).count()
    yield gauge("webhooks_failing", "Enabled webhooks whose last post failed.", failing)


def age(times: list[datetime]) -> float:
    """Seconds since the first of these, 0 without one."""
    return max(timezone.now() - times[0], timedelta()).total_seconds() if times else 0.0


def _registry() -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(FromDatabase())
    process: tuple[Any, ...] = (ProcessCollector, PlatformCollector, GCCollector)
    for collector in process:
        collector(registry=made)
    return made


registry = _registry()
