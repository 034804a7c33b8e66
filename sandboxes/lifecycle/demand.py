"""What a sandbox's container is to be, and whether another hand has changed it since it was made.

What the engine made is compared knob by knob before it starts. Limits and networks can be changed later,
with the engine's own tools: so it is looked again before each further start, and now and then.
"""

from __future__ import annotations

from sandboxes.engine import get_engine
from sandboxes.engine.base import ContainerSpec, EngineError
from sandboxes.models import Sandbox

from . import names


class Changed(EngineError):
    """Its container is not what its record demands any more."""


def spec_of(sandbox: Sandbox) -> ContainerSpec:
    """What its container is to be."""
    return ContainerSpec(
        sandbox_id=sandbox.pk,
        image=sandbox.image_reference,
        memory=sandbox.memory,
        cpus=float(sandbox.cpus),
        pids=sandbox.pids,
        network=str(sandbox.network),
        workdir=sandbox.workdir,
        environment=dict(sandbox.environment),
        shell=sandbox.shell,
        root=sandbox.runs_as_root,
        strict=sandbox.is_strict,
        disk=sandbox.disk,
        runtime=sandbox.runtime,
        hostname=names.hostname(sandbox.name),
    )


def reason(sandbox: Sandbox) -> str:
    """What was changed, as a reason for people; "" where nothing was. Raises EngineError."""
    found = get_engine().changes(sandbox.native_id, spec_of(sandbox))
    return f"changed outside Sandboxes: {', '.join(found)}" if found else ""


def ensure(sandbox: Sandbox) -> None:
    """Raise Changed where another hand has changed its container; one look, for who is about to start it."""
    if why := reason(sandbox):
        raise Changed(f"{why[0].upper()}{why[1:]}.")
