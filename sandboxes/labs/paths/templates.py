"""Paths of lab templates, and of a student's seat."""

from __future__ import annotations

from django.urls import URLPattern, path

from sandboxes.labs.views import seat, templates

SEAT = "seats/<place:pk>/"

urlpatterns: list[URLPattern] = [
    path("courses/<place:pk>/templates/", templates.template_list, name="template_list"),
    path("courses/<place:pk>/templates/new/", templates.template_new, name="template_new"),
    path("courses/<place:pk>/templates/preview/", templates.template_preview, name="template_preview"),
    path("templates/<place:pk>/", templates.template_edit, name="template_edit"),
    path("templates/<place:pk>/do/<word:action>/", templates.template_act, name="template_act"),
    path("labs/<place:pk>/seat/", seat.seat_join, name="seat_join"),
    path(SEAT, seat.seat_detail, name="seat_detail"),
    path(f"{SEAT}part/<word:name>/", seat.seat_part, name="seat_part"),
    path(f"{SEAT}step/", seat.seat_step, name="seat_step"),
    path(f"{SEAT}hand/", seat.seat_hand, name="seat_hand"),
    path(f"{SEAT}typing/", seat.seat_typing, name="seat_typing"),
    path(f"{SEAT}start-over/", seat.seat_start_over, name="seat_start_over"),
    path(f"{SEAT}retry/", seat.seat_retry, name="seat_retry"),
    path(f"{SEAT}work/", seat.seat_work, name="seat_work"),
]
