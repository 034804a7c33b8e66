"""Filters and tags that every template has: sizes, times, icons, the status badge, the import map."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from sandboxes.lifecycle import event_words, fullness, idle, quotas, strictness
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import Sandbox
from sandboxes.units import format_duration, format_size

from . import icons, modules, offers, recorded

if TYPE_CHECKING:
    from sandboxes.views.filters import Filters

register = template.Library()
for tag in (icons.icon, icons.mark, offers.offers, offers.header_offers, offers.poll, offers.outcome):
    register.simple_tag(tag)
register.simple_tag(modules.import_map, takes_context=True)
for one in (offers.label, offers.consequence, offers.tale, offers.queued, offers.capital, offers.layers,
            offers.transition, offers.during, offers.journey, offers.names,
            recorded.recording_told, recorded.recorded, recorded.told):  # fmt: skip
    register.filter(one)
register.filter("sandboxes_limit", quotas.sandboxes_limit)
register.filter("kept_in_memory", strictness.told)
register.filter("use", idle.told)
register.filter("has_grown", fullness.has_grown)
register.filter("is_full", fullness.is_full)
register.filter("sentence", event_words.sentence)
register.filter("memory_limit", quotas.memory_limit)

SOON = timedelta(minutes=5)


@register.filter
def size(count: float | str | None) -> str:
    """Bytes as people read them; "–" for None and for what the template has not got."""
    return format_size(None if isinstance(count, str) else count)


@register.filter
def duration(value: timedelta | float | str | None) -> str:
    """A time span (timedelta or seconds) in its two largest units; "–" for nothing."""
    if value is None or isinstance(value, str):
        return "–"
    return format_duration(value.total_seconds() if isinstance(value, timedelta) else value)


@register.filter
def took(value: timedelta | None) -> str:
    """How long something took: "0.3 s" below 10 s, then as ``duration``; "–" for None."""
    if value is None:
        return "–"
    seconds = value.total_seconds()
    return f"{seconds:.1f} s" if seconds < 10 else format_duration(seconds)


@register.filter
def number(value: Decimal | float | str) -> str:
    """A number without idle zeros: 1, 0.5, 1.25; nothing for nothing."""
    if value == "":
        return ""
    return f"{Decimal(str(value)).normalize():f}"


@register.filter
def ago(at: datetime | None) -> str:
    """ "just now", "42 min ago"; "–" for None."""
    if at is None:
        return "–"
    seconds = (timezone.now() - at).total_seconds()
    return "just now" if seconds < 10 else f"{format_duration(seconds)} ago"


@register.filter
def until(at: datetime | None) -> str:
    """How long until then: "4 min"; "–" for None."""
    return "–" if at is None else format_duration(max((at - timezone.now()).total_seconds(), 0))


@register.filter
def day_time(at: datetime | None) -> str:
    """ "24 Nov, 14:02", with its year where that is not this one; as format.js says it. Empty for None."""
    if at is None:
        return ""
    here = timezone.localtime(at)
    return date_format(here, "j M, H:i" if here.year == timezone.localtime().year else "j M Y, H:i")


@register.filter
def breakable(reference: str) -> SafeString:
    """An image reference that breaks after its slashes and colons; what goes without saying is left out."""
    short = reference.removesuffix(":latest")
    return mark_safe(re.sub(r"([/:@])", r"\1<wbr>", escape(short)))


@register.filter
def soon(left: timedelta | None) -> bool:
    """Whether so little time is left that someone should look."""
    return left is not None and left < SOON


@register.filter
def note(level: str) -> str:
    """The class of a note that carries a message of this level."""
    return {"success": "good", "warning": "careful", "error": "bad"}.get(level, "")


@register.filter
def note_icon(level: str) -> str:
    """The icon of a note of this level."""
    return {"success": "check", "warning": "alert", "error": "alert"}.get(level, "info")


@register.simple_tag
def badge(sandbox: Sandbox) -> SafeString:
    """The status by colour, shape and word; while something is under way, that."""
    row = TABLE.get(sandbox.pending)
    word = row.during if row else sandbox.status
    if sandbox.pending == "launch":
        word = {"pulling": "pulling image", "starting": "starting"}.get(sandbox.launch_step, "queued")
    return format_html(
        '<span class="badge" data-status="{}" data-pending="{}">{}{}</span>',
        sandbox.status, sandbox.pending, icons.mark("queued" if row else sandbox.status, bool(row)), word,
    )  # fmt: skip


@register.filter
def sorted_by(filters: Filters, key: str) -> SafeString:
    """The aria-sort of a column heading."""
    if filters.sort.removeprefix("-") != key:
        return mark_safe("")
    return format_html(' aria-sort="{}"', "descending" if filters.sort.startswith("-") else "ascending")


@register.simple_tag
def sort_link(filters: Filters, key: str, word: str) -> SafeString:
    """A heading that sorts by its column, and the other way round when it does already."""
    again = filters.sort == key
    address = filters.address(sort=f"-{key}" if again else key)
    shape = icons.icon("arrow") if filters.sort.removeprefix("-") == key else ""
    return format_html(
        '<a href="{0}" hx-get="{0}" hx-target="#fleet" hx-push-url="true">{1}{2}</a>', address, word, shape
    )


@register.simple_tag
def page_address(filters: Filters, number: int) -> str:
    """The address of another page of the same view."""
    return filters.address(page=str(number))
