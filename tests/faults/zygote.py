"""A process with the project loaded that makes processes to be killed: `python -m tests.faults.zygote`.

It reads one order a line (JSON), forks, says the child's number, waits for its end and says how it
ended. A child does one deed and dies at a named point, or is busy until somebody kills it. What
makes it die is here and not in the product: at the point it is gone without a word, as by kill -9.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

DIED = 42
"""The exit status of a child that came to its point."""


def load(order: dict[str, Any]) -> None:
    """The project on the test's database and under its label, as another process of the install."""
    from sandboxes import settings

    settings.DATABASES["default"]["NAME"] = order["database"]
    settings.SANDBOX_INSTALL = settings.SANDBOX_NETWORK_NAME = order["install"]
    settings.SANDBOX_LEASE, settings.SANDBOX_WORKERS, settings.SANDBOX_COMMAND_WORKERS = 1, 0, 0
    settings.SANDBOX_AUDIT_HEAD_FILE = ""
    settings.SANDBOX_QUOTA_CREATES = settings.SANDBOX_MEMORY_SHARE = settings.SANDBOX_QUOTA_TERMINALS = 0
    settings.SANDBOX_USER_COMMAND_PACE = 0
    import django

    django.setup()
    import docker  # noqa: F401  # so that no child has to load it

    import sandboxes.lifecycle.actions
    import sandboxes.lifecycle.cleanup
    import sandboxes.lifecycle.commands
    import sandboxes.lifecycle.terminals  # noqa: F401


def main() -> None:
    load(json.loads(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            live(json.loads(line))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def live(order: dict[str, Any]) -> None:
    """What a child does; it never comes back."""
    try:
        if order["deed"] in BUSY:
            BUSY[order["deed"]](order["seed"])
        if order["point"]:
            arm(order["point"])
        DEEDS[order["deed"]](order["id"])
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


# -- where it dies --------------------------------------------------------------------------------


def gone(*args: Any, **options: Any) -> Any:
    os._exit(DIED)


def before(owner: Any, name: str) -> None:
    setattr(owner, name, gone)


def after(owner: Any, name: str) -> None:
    real = getattr(owner, name)

    def dying(*args: Any, **options: Any) -> Any:
        real(*args, **options)
        os._exit(DIED)

    setattr(owner, name, dying)


def amid(owner: Any, name: str) -> None:
    """While the engine is at it."""
    real = getattr(owner, name)

    def dying(*args: Any, **options: Any) -> Any:
        threading.Thread(target=real, args=args, kwargs=options, daemon=True).start()
        time.sleep(0.03)
        os._exit(DIED)

    setattr(owner, name, dying)


def engine() -> Any:
    from sandboxes.engine import get_engine

    return get_engine()


def client() -> Any:
    """What speaks to the engine, below our own words."""
    with engine().connection.control() as api:
        return type(api)


def transitions() -> Any:
    from sandboxes.lifecycle import transitions

    return transitions


Where = tuple[str, Callable[[Any, str], None], Callable[[], Any], str]
POINTS: dict[str, Where] = {
    "after the claim": ("stop", after, transitions, "claim"),
    "before create": ("launch", before, engine, "create"),
    "after create": ("launch", after, engine, "create"),
    "after start": ("launch", after, engine, "start"),
    "before stop": ("stop", before, engine, "stop"),
    "mid stop": ("stop", amid, engine, "stop"),
    "after stop": ("stop", after, engine, "stop"),
    "before settle": ("stop", before, transitions, "settle"),
    "after settle": ("stop", after, transitions, "settle"),
    "between stop and start": ("restart", after, engine, "stop"),
    "after pause": ("pause", after, engine, "pause"),
    "before remove": ("remove", before, engine, "remove"),
    "mid remove": ("remove", amid, engine, "remove"),
    "after remove": ("remove", after, engine, "remove"),
    "after exec create": ("command", after, client, "exec_create"),
    "after exec start": ("command", after, client, "exec_start"),
    "with a terminal open": ("terminal", after, engine, "exec"),
}
"""Name of the point to: the deed that leads there, and where it is."""


def arm(point: str) -> None:
    _, how, owner, name = POINTS[point]
    how(owner(), name)


# -- what is done ---------------------------------------------------------------------------------


def origin() -> Any:
    from sandboxes.lifecycle import audit

    return audit.Origin("user", name="alice")


def launch(_: str) -> None:
    from sandboxes.lifecycle import actions
    from sandboxes.models import Image, User

    actions.launch(User.objects.get(username="alice"), Image.objects.get(), origin=origin(), memory="32m")


def act(action: str) -> Callable[[str], None]:
    def acted(pk: str) -> None:
        from sandboxes.lifecycle import actions
        from sandboxes.models import Sandbox

        actions.act(Sandbox.objects.get(pk=pk), action, origin(), wait=None)

    return acted


def command(pk: str) -> None:
    from sandboxes.lifecycle import commands
    from sandboxes.models import Sandbox

    commands.run(Sandbox.objects.get(pk=pk), "sleep 600", origin=origin(), wait=None)


def terminal(pk: str) -> None:
    """A shell's record and what runs in it; its stream does not matter here."""
    from sandboxes.lifecycle import terminals
    from sandboxes.models import Sandbox

    record = terminals.open(Sandbox.objects.get(pk=pk), "main", origin())
    engine().exec(record.sandbox.native_id, ["sleep", "600"], marker=record.marker)


DEEDS: dict[str, Callable[[str], None]] = {
    "launch": launch, "command": command, "terminal": terminal,
    **{action: act(action) for action in ("stop", "restart", "pause", "remove")},
}  # fmt: skip


def be_busy(seed: int) -> None:
    """Launch, act, run and open at random, several at a time, until it is killed."""
    from sandboxes.lifecycle import actions
    from sandboxes.models import Sandbox

    with_workers()
    dice = random.Random(seed)
    while True:
        rows = list(Sandbox.objects.exclude(status="removed"))
        if len(rows) < 4:
            launch("")
        for row in rows:
            action = dice.choice(["pause", "resume", "stop", "start", "restart", "remove", "extend"])
            actions.act(row, action, origin(), wait=dice.choice([0, 0.1]))
            dice.choice([run_something, open_something, close_something])(row, dice)


def with_workers() -> None:
    from django.conf import settings

    settings.SANDBOX_WORKERS = settings.SANDBOX_COMMAND_WORKERS = 4


def run_something(row: Any, dice: random.Random) -> None:
    from sandboxes.lifecycle import actions, commands

    with contextlib.suppress(actions.Refused):
        commands.run(row, dice.choice(["true", "sleep 1", "sleep 600"]), origin=origin(), wait=0)


def open_something(row: Any, dice: random.Random) -> None:
    """As live.terminal does: the record, the shell, or the end of it."""
    from sandboxes.engine.base import EngineError
    from sandboxes.lifecycle import actions, terminals

    with contextlib.suppress(actions.Refused):
        record = terminals.open(row, f"t{dice.randrange(10**6)}", origin())
        try:
            engine().exec(record.sandbox.native_id, ["sleep", "600"], marker=record.marker)
        except EngineError as error:
            terminals.ended(record, str(error), origin(), "failed")  # type: ignore[arg-type]
            terminals.kill(record)
        else:
            terminals.opened(record, origin())


def close_something(row: Any, dice: random.Random) -> None:
    """Any that is open there, whoever opened it."""
    from sandboxes.lifecycle import terminals
    from sandboxes.models import Terminal

    record = Terminal.objects.filter(sandbox=row, ended_at=None).select_related("sandbox__owner").first()
    if record is not None:
        terminals.ended(record, "closed", origin())
        terminals.kill(record)


def be_the_loop(_: int) -> None:
    """Round after round beside the others: what puts things right is killed in the middle of it too."""
    from sandboxes.lifecycle import cleanup, process

    with_workers()
    process.hold()
    while True:
        cleanup.run_round(patience=5)
        time.sleep(0.05)


BUSY: dict[str, Callable[[int], None]] = {"busy": be_busy, "loop": be_the_loop}
"""What is done until somebody kills it."""


if __name__ == "__main__":
    main()
