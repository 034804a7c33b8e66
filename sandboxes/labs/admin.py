"""Teaching in the admin: courses, people, labs and seats to read; what happened is in the audit trail."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html

from sandboxes.admin import ReadOnly
from sandboxes.admin.base import trail_link

from .models import Course, Enrollment, Hand, Lab, LabRun, LabTemplate, Message, Seat


@admin.register(Course)
class CourseAdmin(ReadOnly):
    """Courses; never their invite secrets."""

    list_display = ("title", "id", "typing", "guests_allowed", "created_at", "archived_at", "trail")
    search_fields = ("title", "id")
    date_hierarchy = "created_at"
    exclude = ("invite", "join_code")

    @admin.display(description="trail")
    def trail(self, course: Course) -> str:
        return trail_link(place=course.pk)


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnly):
    """The roster."""

    list_display = ("name", "user", "course", "role", "section", "is_guest", "removed_at")
    list_filter = ("role", "is_guest", "course")
    search_fields = ("name", "email", "student_id", "user__username", "course__title")
    list_select_related = ("user", "course")


@admin.register(LabTemplate)
class LabTemplateAdmin(ReadOnly):
    """Lab templates."""

    list_display = ("title", "id", "course", "published", "removed_at")
    search_fields = ("title", "id", "course__title")
    list_select_related = ("course", "published__template")


@admin.register(Lab)
class LabAdmin(ReadOnly):
    """Runs of labs."""

    list_display = ("title", "id", "course", "status", "opened_at", "closes_at", "closed_at", "trail")
    list_filter = ("status", "is_trial", "course")
    search_fields = ("title", "id", "course__title")
    date_hierarchy = "created_at"
    list_select_related = ("course",)

    @admin.display(description="trail")
    def trail(self, lab: Lab) -> str:
        return trail_link(q=lab.pk)


@admin.register(Seat)
class SeatAdmin(ReadOnly):
    """Seats, with the sandbox each holds now."""

    list_display = ("enrollment", "lab", "status", "reason", "sandbox_link", "saved_bytes", "trail")
    list_filter = ("status", "lab__course")
    search_fields = ("id", "enrollment__name", "lab__title", "sandbox__id")
    list_select_related = ("enrollment", "lab", "sandbox")

    @admin.display(description="sandbox")
    def sandbox_link(self, seat: Seat) -> str:
        if seat.sandbox_id is None:
            return "–"
        url = reverse("admin:sandboxes_sandbox_change", args=[quote(seat.sandbox_id)])
        return format_html('<a href="{}">{}</a>', url, seat.sandbox_id)

    @admin.display(description="trail")
    def trail(self, seat: Seat) -> str:
        return trail_link(q=seat.pk)


@admin.register(Message, LabRun)
class RoomAdmin(ReadOnly):
    """What passed between staff and students."""

    list_display = ("__str__", "lab", "by_name", "created_at")
    search_fields = ("text", "by_name", "lab__title")
    list_select_related = ("lab",)


@admin.register(Hand)
class HandAdmin(ReadOnly):
    """Raised hands and how long they waited."""

    list_display = ("seat", "text", "raised_at", "claimed_by", "claimed_at", "resolved_at")
    search_fields = ("text", "seat__enrollment__name")
    list_select_related = ("seat__enrollment", "seat__lab", "claimed_by")
