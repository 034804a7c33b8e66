"""What we remember: people, images, sandboxes, their commands, terminals and recordings, and what happened.

Nothing here changes a status: that is lifecycle.transitions' business alone.
"""

from .execs import Command, CommandStatus, Terminal
from .feeds import Cursor, Tally
from .ids import command_id, marker, recording_id, sandbox_id
from .people import Image, User
from .policy import Isolation
from .recording import Recording, RecordingPolicy
from .sandbox import ENDED, HOLDING, LIVE, UP, Network, Sandbox, SandboxQuerySet, Status
from .trail import Brake, Event, EventQuerySet, Lease, Outcome, Seal
from .webhook import Delivery, DeliveryState, Webhook

__all__ = [
    "ENDED",
    "HOLDING",
    "LIVE",
    "UP",
    "Brake",
    "Command",
    "CommandStatus",
    "Cursor",
    "Delivery",
    "DeliveryState",
    "Event",
    "EventQuerySet",
    "Image",
    "Isolation",
    "Lease",
    "Network",
    "Outcome",
    "Recording",
    "RecordingPolicy",
    "Sandbox",
    "SandboxQuerySet",
    "Seal",
    "Status",
    "Tally",
    "Terminal",
    "User",
    "Webhook",
    "command_id",
    "marker",
    "recording_id",
    "sandbox_id",
]
