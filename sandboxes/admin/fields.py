"""Form fields of the admin that take what Django's own stumble over."""

from __future__ import annotations

from typing import Any

from django import forms

LONGEST = 18
"""Digits of a key; databases count to 9,223,372,036,854,775,807."""


class Chosen(forms.ModelMultipleChoiceField):
    """Several rows by their keys. One that no database can count to is told like any other that is none."""

    def clean(self, value: Any) -> Any:
        """The rows. Raises ValidationError for keys that are none."""
        for key in value if isinstance(value, (list, tuple)) else ():
            if len(str(key)) > LONGEST:
                params = {"pk": f"{str(key)[:LONGEST]}…"}
                raise forms.ValidationError(self.error_messages["invalid_pk_value"], params=params)
        return super().clean(value)
