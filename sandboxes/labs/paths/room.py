"""Paths of the room: wall, help, looking, what is done for many, overview."""

from __future__ import annotations

from django.urls import URLPattern, path

from sandboxes.labs.views import overview, room, runs

urlpatterns: list[URLPattern] = [
    path("labs/<place:pk>/wall/", room.room_wall, name="wall"),
    path("labs/<place:pk>/help/", room.room_help, name="room_help"),
    path("hands/<number:pk>/<word:action>/", room.hand_act, name="hand_act"),
    path("seats/<place:pk>/look/", room.look, name="look"),
    path("seats/<place:pk>/look/<word:action>/", room.look_act, name="look_act"),
    path("labs/<place:pk>/all/", runs.to_many, name="to_many"),
    path("labs/<place:pk>/runs/<number:number>/", runs.run_detail, name="lab_run"),
    path("labs/<place:pk>/runs/<number:number>/retry/", runs.run_retry, name="lab_run_retry"),
    path("labs/<place:pk>/runs/<number:number>/csv/", runs.run_csv, name="lab_run_csv"),
    path("labs/<place:pk>/overview/", overview.lab_overview, name="lab_overview"),
    path("labs/<place:pk>/overview/csv/", overview.overview_csv, name="overview_csv"),
    path("labs/<place:pk>/work/", overview.lab_work, name="lab_work"),
    path("seats/<place:pk>/story/", overview.seat_story, name="seat_story"),
]
