"""The teaching app."""

from django.apps import AppConfig


class LabsConfig(AppConfig):
    """Courses, labs and seats, on top of core."""

    name = "sandboxes.labs"
    label = "labs"
    verbose_name = "Teaching"
    default_auto_field = "django.db.models.BigAutoField"
