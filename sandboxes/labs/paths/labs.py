"""Paths of labs: one run of a template for a course."""

from __future__ import annotations

from django.urls import URLPattern, path

from sandboxes.labs.views import labs

urlpatterns: list[URLPattern] = [
    path("courses/<place:pk>/labs/new/", labs.lab_new, name="lab_new"),
    path("labs/<place:pk>/", labs.lab_detail, name="lab_detail"),
    path("labs/<place:pk>/do/<word:action>/", labs.lab_act, name="lab_act"),
    path("seats/<place:pk>/extend/", labs.seat_extend, name="seat_extend"),
    path("seats/<place:pk>/save/", labs.seat_save, name="seat_save"),
]
