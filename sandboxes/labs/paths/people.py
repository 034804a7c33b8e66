"""Paths of courses and the people in them."""

from __future__ import annotations

from django.urls import URLPattern, path

from sandboxes.labs.views import courses, joining, people

ONE = "courses/<place:pk>/"
PEOPLE = f"{ONE}people/"

urlpatterns: list[URLPattern] = [
    path("courses/", courses.course_list, name="course_list"),
    path("courses/new/", courses.course_new, name="course_new"),
    path(ONE, courses.course_detail, name="course_detail"),
    path(f"{ONE}settings/", courses.course_settings, name="course_settings"),
    path(PEOPLE, people.roster_list, name="roster_list"),
    path(f"{PEOPLE}roster/", people.roster_paste, name="roster_paste"),
    path(f"{PEOPLE}preview/", people.roster_preview, name="roster_preview"),
    path(f"{PEOPLE}export/", people.roster_export, name="roster_export"),
    path(f"{PEOPLE}<number:person>/", people.roster_person, name="roster_person"),
    path(f"{PEOPLE}<number:person>/<word:action>/", people.roster_act, name="roster_act"),
    path(f"{ONE}join/", joining.course_join, name="course_join"),
    path(f"{ONE}cards/", joining.course_cards, name="course_cards"),
    path(f"{PEOPLE}mail/", joining.roster_mail, name="roster_mail"),
    path(f"{ONE}code/", joining.course_code, name="course_code"),
    path("join/", joining.join, name="join"),
    path("join/<link:secret>/", joining.join_invite, name="join_invite"),
    path("join/<number:pk>/<link:signature>/", joining.join_link, name="join_link"),
]
