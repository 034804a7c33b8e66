"""`manage.py sample_course`: a course with three labs to try and to copy from."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError
from sandboxes.labs import samples
from sandboxes.lifecycle import images
from sandboxes.management.origin import console
from sandboxes.models import User


class Command(BaseCommand):
    """Catalogue, course, templates; harmless to repeat."""

    help = "Make a sample course with three labs: shell basics, Python, a small web server."

    def add_arguments(self, parser: CommandParser) -> None:
        """--instructor: who teaches it."""
        parser.add_argument("--instructor", help="user name; default: the first admin")

    def handle(self, *args: Any, **options: Any) -> None:
        """Says where it is. Raises CommandError when there is nobody to teach it."""
        instructor = whom(options["instructor"])
        know_images()
        course = samples.make(instructor, console())
        self.stdout.write(f"{course.title} is taught by {instructor.username}: /courses/{course.pk}/")
        for sample in samples.all_samples():
            image = sample.image
            if image is None or not image.is_here:
                self.stdout.write(f"{sample.title} needs an image that is not here. Where no registry can be "
                                  "reached: python -m scripts.lab_images, then this once more.")  # fmt: skip


def whom(name: str | None) -> User:
    """The instructor. Raises CommandError when there is no such person."""
    rows = User.objects.filter(username=name) if name else User.objects.filter(is_superuser=True)
    found = rows.filter(is_active=True).order_by("pk").first()
    if found is None:
        raise CommandError(f"There is no user {name}." if name else "There is no admin yet: run bootstrap.")
    return found


def know_images() -> None:
    """Put the locally built Python image into the catalogue if the engine has it."""
    images.seed_catalogue(console())
    try:
        images.refresh_presence()
        if get_engine().has_image(samples.PYTHON):
            defaults = {"title": "Python", "shell": "bash", "position": 15,
                        "description": "Python, nano and less on Debian; built here."}  # fmt: skip
            images.add(samples.PYTHON, defaults, console())
            images.refresh_presence()
    except EngineError:
        return  # the engine is away: the catalogue as it is
