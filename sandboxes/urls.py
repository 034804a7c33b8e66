"""Paths of the pages; sockets are in asgi.py. Names and paths are fixed: other programs rely on them."""

from django.contrib import admin
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from .views import commands, detail, fleet, health, images, launch, metrics, people, recordings, system


class Id:
    """The id of a sandbox, a command or a recording; anything else is a path that does not exist."""

    regex = "(?:sb|cmd|rec)_[a-z0-9]{1,20}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class Word(Id):
    """An action, a part or a stream: a lower-case word."""

    regex = "[a-z]{1,20}"


class Stream(Word):
    """One of a command's two streams."""

    regex = "stdout|stderr"


class Place(Word):
    """The id of a course, a lab template, a lab or a seat."""

    regex = "(?:crs|tpl|lab|seat)_[a-z0-9]{1,20}"


class Link(Word):
    """Half of a sign-in link."""

    regex = "[A-Za-z0-9_=-]{1,100}"


class Number:
    """A small positive number."""

    regex = "[0-9]{1,9}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(Id, "id")
register_converter(Word, "word")
register_converter(Stream, "stream")
register_converter(Place, "place")
register_converter(Link, "link")
register_converter(Number, "number")

handler400 = "sandboxes.views.errors.bad_request"
handler500 = "sandboxes.views.errors.failed"

ONE = "sandboxes/<id:pk>/"
COMMAND = f"{ONE}commands/<id:command>/"
RECORDING = f"{ONE}recordings/<id:recording>/"

urlpatterns = [
    path("", fleet.home, name="home"),
    path("sandboxes/", fleet.sandbox_list, name="sandbox_list"),
    path("sandboxes/rows/", fleet.sandbox_rows, name="sandbox_rows"),
    path("sandboxes/new/", launch.sandbox_new, name="sandbox_new"),
    path("sandboxes/act/", fleet.sandbox_act_many, name="sandbox_act_many"),
    path(ONE, detail.sandbox_detail, name="sandbox_detail"),
    path(f"{ONE}part/<word:name>/", detail.sandbox_part, name="sandbox_part"),
    path(f"{ONE}commands/", commands.command_run, name="command_run"),
    path(COMMAND, commands.command_detail, name="command_detail"),
    path(f"{COMMAND}cancel/", commands.command_cancel, name="command_cancel"),
    path(f"{COMMAND}rerun/", commands.command_rerun, name="command_rerun"),
    path(f"{COMMAND}<stream:name>/", commands.command_output, name="command_output"),
    path(f"{ONE}recordings/", recordings.recording_list, name="recording_list"),
    path(RECORDING, recordings.recording_replay, name="recording_replay"),
    path(f"{RECORDING}cast/", recordings.recording_cast, name="recording_cast"),
    path(f"{RECORDING}download/", recordings.recording_download, name="recording_download"),
    path(f"{ONE}<word:action>/", detail.sandbox_act, name="sandbox_act"),
    path("images/", images.image_list, name="image_list"),
    path("images/part/", images.image_part, name="image_part"),
    path("images/<number:pk>/pull/", images.image_pull, name="image_pull"),
    path("system/", system.system, name="system"),
    path("profile/", people.profile, name="profile"),
    path("sign-in/", people.sign_in, name="sign_in"),
    path("sign-in/<link:uid>/<link:token>/", people.sign_in_link, name="sign_in_link"),
    path("sign-out/", people.sign_out, name="sign_out"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("admin/login/", people.admin_door, name="admin_door"),
    path("admin/logout/", people.sign_out, name="admin_sign_out"),
    path("admin/password_change/", RedirectView.as_view(pattern_name="profile"), name="admin_password"),
    path("admin/", admin.site.urls),
    path("", include("sandboxes.labs.urls")),
]
