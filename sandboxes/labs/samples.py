"""The sample course: three labs that are worth teaching from, with their sheets and starting files."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.db import transaction

from sandboxes.lifecycle import audit
from sandboxes.models import Image, User

from . import lab_templates, trail
from .models import Course, Enrollment, LabTemplate, Role, TemplateVersion

FOLDER = Path(__file__).parent / "sample"
TITLE = "Sample course"
PYTHON = "sandboxes/python:latest"
"""Built from Debian's packages by ``python -m scripts.lab_images``, where no registry can be reached."""


@dataclass(frozen=True)
class Sample:
    """One lab: its folder, title, images in order of preference, memory in bytes."""

    name: str
    title: str
    images: tuple[str, ...]
    memory: int = 128 << 20

    @property
    def sheet(self) -> str:
        return (FOLDER / f"{self.name}.md").read_text()

    @property
    def archive(self) -> bytes:
        """Its starting files as a gzipped tar, the same bytes every time."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as target:
            for path in sorted((FOLDER / self.name).rglob("*")):
                if "__pycache__" not in path.parts:
                    target.add(path, str(path.relative_to(FOLDER / self.name)), recursive=False)
        return out.getvalue()

    @property
    def image(self) -> Image | None:
        """The first of its images that is in the catalogue and here, else the first in the catalogue."""
        rows = {row.reference: row for row in Image.objects.filter(reference__in=self.images, enabled=True)}
        known = [rows[name] for name in self.images if name in rows]
        return next((row for row in known if row.is_here), known[0] if known else None)


def all_samples() -> tuple[Sample, ...]:
    """Shell basics, Python, a small web server."""
    starter = settings.SANDBOX_STARTER
    return (
        Sample("shell", "Shell basics", (starter,)),
        Sample("python", "First steps in Python", (PYTHON, "python:3.13-slim")),
        Sample("web", "A small web server", (starter,)),
    )


@transaction.atomic
def make(instructor: User, by: audit.Origin | None = None) -> Course:
    """The sample course of this instructor with its labs published; there once however often it is made."""
    origin = replace(by, on_behalf=instructor.get_username()) if by else audit.Origin.of(instructor)
    taught = Course.objects.filter(title=TITLE, enrollments__user=instructor, archived_at=None)
    course = taught.first()
    if course is None:
        course = Course.objects.create(title=TITLE, guests_allowed=True)
        name = instructor.get_full_name() or instructor.get_username()
        Enrollment.objects.create(course=course, user=instructor, role=Role.INSTRUCTOR, name=name)
        trail.record("course.create", origin, course, sample=True)
    for sample in all_samples():
        _add(course, sample, origin)
    return course


def _add(course: Course, sample: Sample, by: audit.Origin) -> None:
    """The template and its first version, unless it is there; a missing image is set once one is here."""
    template, is_new = LabTemplate.objects.get_or_create(course=course, title=sample.title, removed_at=None)
    if not is_new:
        return _mend(template, sample, by)
    archive = sample.archive
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        names = [one.name for one in packed if one.isreg()]
    template.published = TemplateVersion.objects.create(
        template=template, number=1, sheet=sample.sheet, image=sample.image, memory=sample.memory,
        files=archive, files_names=names, created_by="sample",
    )  # fmt: skip
    template.save()
    trail.record("template.create", by, course, template=template.pk, template_title=template.title,
                 version=1)  # fmt: skip
    return None


def _mend(template: LabTemplate, sample: Sample, by: audit.Origin) -> None:
    """A version with an image that is here, where the sample's own has none; what people wrote stays."""
    only, image = template.newest, sample.image
    if only is None or image is None or not image.is_here or (only.image and only.image.is_here):
        return
    if (only.number, only.created_by, template.published) == (1, "sample", only):
        lab_templates.save(template, template.title, only.number, by, image=image)
        lab_templates.publish(template, by)
