"""Lab templates: written in versions, published, cloned, tried and removed; every act on record."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused

from . import opening, seats, trail
from .models import Course, Enrollment, Lab, LabStatus, LabTemplate, Seat, TemplateVersion

TRIAL = timedelta(hours=1)
KEPT = ("sheet", "image", "memory", "cpus", "pids", "network", "isolation", "lifetime", "idle", "recording",
        "recording_keystrokes", "files", "files_names")  # fmt: skip
"""What a version holds, and what a clone takes along."""


def planned_on() -> dict[str, str]:
    """By image reference, how many labs that are planned or open launch from it (SANDBOX_IMAGE_RULE)."""
    coming = Lab.objects.filter(status__in=(LabStatus.PLANNED, LabStatus.OPEN)).exclude(version__image=None)
    counts = Counter(coming.values_list("version__image__reference", flat=True))
    return {reference: f"{count} lab{'s' if count > 1 else ''}" for reference, count in counts.items()}


def published(course: Course) -> QuerySet[LabTemplate]:
    """Those of which a lab can be planned."""
    return LabTemplate.objects.filter(course=course, removed_at=None).exclude(published=None)


def create(course: Course, title: str, by: audit.Origin, **fields: Any) -> LabTemplate:
    """A new template with its first version, a draft."""
    with transaction.atomic():
        template = LabTemplate.objects.create(course=course, title=title)
        TemplateVersion.objects.create(template=template, number=1, created_by=by.name, **fields)
        _record("template.create", by, template, version=1)
    return template


def save(template: LabTemplate, title: str, base: int, by: audit.Origin, **fields: Any) -> TemplateVersion:
    """A new version made from version ``base``. Raises Refused when there is a newer one by now.

    What is not among ``fields`` stays as it was.
    """
    with transaction.atomic():
        before = template.newest
        number = before.number if before else 0
        if number != base:
            raise Refused("", _overtaken(before))
        kept = {name: getattr(before, name) for name in KEPT} if before else {}
        version = _next(template, number + 1, by, kept | fields)
        LabTemplate.objects.filter(pk=template.pk).update(title=title)
        _record("template.save", by, template, version=version.number)
    return version


def _next(template: LabTemplate, number: int, by: audit.Origin, columns: dict[str, Any]) -> TemplateVersion:
    try:
        with transaction.atomic():
            return TemplateVersion.objects.create(
                template=template, number=number, created_by=by.name, **columns
            )
    except IntegrityError:
        raise Refused("", _overtaken(template.newest)) from None


def _overtaken(newest: TemplateVersion | None) -> str:
    who = f"{newest.created_by} saved version {newest.number}" if newest else "Somebody saved it"
    return f"{who} meanwhile. Copy your text, load the page anew and put it in there."


def publish(template: LabTemplate, by: audit.Origin) -> TemplateVersion:
    """Labs take the newest version from now on. Raises Refused when it has no image."""
    newest = template.newest
    if newest is None or newest.image is None or not newest.image.enabled:
        raise Refused("image", "Choose an image of the catalogue first.")
    with transaction.atomic():
        LabTemplate.objects.filter(pk=template.pk).update(published=newest)
        _record("template.publish", by, template, version=newest.number)
    return newest


def unpublish(template: LabTemplate, by: audit.Origin) -> None:
    """No new lab takes it; labs that have it keep it."""
    with transaction.atomic():
        LabTemplate.objects.filter(pk=template.pk).update(published=None)
        _record("template.unpublish", by, template)


def clone(template: LabTemplate, course: Course, by: audit.Origin) -> LabTemplate:
    """A draft with the same content, in this course or another."""
    newest = template.newest
    fields = {name: getattr(newest, name) for name in KEPT} if newest else {}
    title = template.title if course != template.course else f"{template.title[:110]} (copy)"
    made = create(course, title, by, **fields)
    _record("template.clone", by, template, into=course.pk, clone=made.pk)
    return made


def remove(template: LabTemplate, by: audit.Origin) -> bool:
    """Take it off the list; labs keep the version they started with. False when it is off already."""
    with transaction.atomic():
        rows = LabTemplate.objects.filter(pk=template.pk, removed_at=None)
        if not rows.update(removed_at=timezone.now(), published=None):
            return False
        _record("template.remove", by, template)
    return True


def try_it(template: LabTemplate, person: Enrollment | None, by: audit.Origin) -> Seat:
    """The author's own seat in a lab of the newest version, as a student would have it. Raises Refused.

    There is one try at a time of a template and author: an earlier version's is closed.
    """
    newest = template.newest
    if person is None:
        raise Refused("", "Only people of the course can try it: add yourself as an instructor first.")
    if newest is None or newest.image is None:
        raise Refused("image", "Choose an image first.")
    with transaction.atomic():
        LabTemplate.objects.select_for_update().get(
            pk=template.pk
        )  # pressed twice, the second finds the first's
        return seats.take(_trial(template, newest, by), person, by)


def _trial(template: LabTemplate, version: TemplateVersion, by: audit.Origin) -> Lab:
    open_ones = Lab.objects.filter(
        version__template=template, is_trial=True, created_by=by.name, status=LabStatus.OPEN
    ).select_related("course", "version")
    for lab in open_ones:
        if lab.version_id == version.pk and lab.closes_at > timezone.now():
            return lab
        opening.close_lab(lab, by, reason="a newer version is tried")
    lab = opening.make(version, template.title, closes_at=timezone.now() + TRIAL, by=by, is_trial=True)
    opening.open_lab(lab, by)
    return lab


def _record(action: str, by: audit.Origin, template: LabTemplate, **facts: Any) -> None:
    facts |= {"template": template.pk, "template_title": template.title}
    trail.record(action, by, template.course, **facts)
