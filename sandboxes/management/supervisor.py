"""Keeps child processes running: restarts what dies, passes on signals, leaves nothing behind.

Knows nothing of what the children do.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FIRST_DELAY = 0.5
"""Seconds before the first restart; doubles with every death in a row."""
LONGEST_DELAY = 30.0
HEALTHY = 60.0
"""Seconds after which a child counts as healthy, so that its next death starts from the top."""
GRACE = 15.0
"""Seconds that a child has to end by itself after SIGTERM."""
TICK = 0.2
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One program that has to run. ``delay`` and the times are seconds of the monotonic clock."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = FIRST_DELAY
    due: float = 0.0
    """When it is to be started, while it does not run."""

    @property
    def is_running(self) -> bool:
        """Whether its process was started and has not been seen to end."""
        return self.process is not None and self.process.poll() is None

    def start(self, now: float) -> None:
        """Starts it in a session of its own, so that a Ctrl-C reaches it through us and only once."""
        self.process = subprocess.Popen(
            list(self.command),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )
        self.started = now

    def mark_dead(self, now: float) -> float:
        """Plans the restart of a child that has ended; returns in how many seconds it will be."""
        if now - self.started >= HEALTHY:
            self.delay = FIRST_DELAY
        delay, self.delay = self.delay, min(self.delay * 2, LONGEST_DELAY)
        self.due = now + delay
        self.process = None
        return delay

    def send(self, number: int) -> None:
        """Signals it and all it has started; nothing happens when it has ended."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def die_with(parent: int) -> Callable[[], None]:
    """What a new child runs before its program, so that it is killed when `parent` is.

    Linux only: elsewhere a supervisor that is killed with -9 leaves its children running.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def before_exec() -> None:
        if libc is None:
            return
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return before_exec


@dataclass
class Supervisor:
    """Runs `children` until it is told to stop; `say` gets one line for everything that happens."""

    children: list[Child]
    say: Callable[[str], None]
    on_tick: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    # plain flags: an Event's lock may be held by the very code that the signal interrupts
    _is_stopping: bool = False
    _hurry: bool = False

    def run(self) -> None:
        """Starts the children and keeps them running; returns when all have ended after a stop."""
        before = {number: signal.signal(number, self._on_signal) for number in STOPPERS}
        try:
            while not self._is_stopping:
                self.tick()
                self.on_tick()
                time.sleep(TICK)
        finally:
            self.stop_children()
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Asks `run` to end. A second time: without patience."""
        self._hurry = self._is_stopping
        self._is_stopping = True

    def tick(self) -> None:
        """Looks at every child once: plans the restart of the dead, starts what is due."""
        now = self.clock()
        for child in self.children:
            if child.process is not None and not child.is_running:
                self._report_death(child, now)
            elif child.process is None and now >= child.due:
                child.start(now)
                self.say(f"{child.name} started")

    def stop_children(self) -> None:
        """Ends all children: SIGTERM, then SIGKILL for those that need longer than GRACE."""
        self._signal_running(signal.SIGTERM)
        end = self.clock() + GRACE
        while any(c.is_running for c in self.children) and self.clock() < end and not self._hurry:
            time.sleep(0.05)
        for child in self.children:
            if child.is_running:
                self.say(f"{child.name} did not end and is killed")
            child.send(signal.SIGKILL)  # also what a child that has ended may have left running
            if child.process is not None:
                child.process.wait()

    def _signal_running(self, number: int) -> None:
        for child in self.children:
            if child.is_running:
                child.send(number)

    def _report_death(self, child: Child, now: float) -> None:
        assert child.process is not None
        how = describe_end(child.process.returncode)
        child.send(signal.SIGKILL)  # what it has started must not fight its successor
        self.say(f"{child.name} {how}; restarting in {child.mark_dead(now):g} s")

    def _on_signal(self, number: int, frame: object) -> None:
        self.stop()


STOPPERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def describe_end(code: int) -> str:
    """How a process ended, for people: its exit code, or the signal that killed it."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
