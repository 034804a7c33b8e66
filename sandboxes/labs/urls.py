"""Teaching's pages: ids in paths are ``crs_``, ``tpl_``, ``lab_`` and ``seat_`` with letters and digits."""

from __future__ import annotations

from django.urls import URLPattern

from .paths import labs, people, room, templates

urlpatterns: list[URLPattern] = [
    *people.urlpatterns, *templates.urlpatterns, *labs.urlpatterns, *room.urlpatterns,
]  # fmt: skip
