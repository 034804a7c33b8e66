"""What teaching remembers: people in courses, lab templates, runs of them, and seats."""

from .course import Course, Enrollment, Role, RosterDraft
from .lab import Lab, LabStatus, LabTemplate, TemplateVersion
from .room import Hand, LabRun, LabRunResult, Message
from .seat import Seat, SeatStatus

__all__ = ["Course", "Enrollment", "Hand", "Lab", "LabRun", "LabRunResult", "LabStatus", "LabTemplate",
           "Message", "Role", "RosterDraft", "Seat", "SeatStatus", "TemplateVersion"]  # fmt: skip
