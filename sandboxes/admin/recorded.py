"""Rows that staff may change in the admin: each addition, change and removal on record, before and after.

The event is written in the transaction of the change; of secrets only that they changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from sandboxes.lifecycle import audit, snapshots

from .base import origin
from .fields import Chosen


class Recorded(admin.ModelAdmin):
    """``noun`` begins the action words: ``image`` gives image.add, image.change and image.remove.

    ``target_of`` is what the event is about. Subclasses that change rows in other ways (an action, a
    page of their own) call ``note`` in the same transaction.
    """

    noun = ""

    def target_of(self, row: Any) -> audit.Target:
        """The row as an event's target."""
        return audit.Target(self.noun, str(row.pk), str(row))

    def note(self, request: HttpRequest, word: str, row: Any, before: snapshots.Values,
             after: snapshots.Values) -> None:  # fmt: skip
        """Put on record what was done to a row."""
        facts = snapshots.changes(before, after)
        audit.record(f"{self.noun}.{word}", origin(request), target=self.target_of(row), changes=facts)

    # -- Django's own ways ------------------------------------------------------------------------

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **options: Any) -> Any:
        """Sets are chosen by keys, and any key may be sent."""
        return super().formfield_for_manytomany(db_field, request, form_class=Chosen, **options)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Remember how it was; with its sets, which are saved after it."""
        form.before = snapshots.of(stored(obj)) if change else {}
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        """The last step of a save: all of it is there."""
        super().save_related(request, form, formsets, change)
        word = "change" if change else "add"
        self.note(request, word, form.instance, form.before, snapshots.of(stored(form.instance)))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """One row."""
        with transaction.atomic():
            self.note(request, "remove", obj, snapshots.of(obj), {})
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """A selection: an event for each."""
        with transaction.atomic():
            for row in queryset:
                self.note(request, "remove", row, snapshots.of(row), {})
            super().delete_queryset(request, queryset)


def stored(row: Model) -> Model:
    """The row as the database has it now."""
    return type(row)._base_manager.get(pk=row.pk)
