"""Who waits for a page waits for no sandbox: the site goes before what the engine does, where it may.

Making a sandbox costs the engine some 150 ms of processor time, a page a tenth of it; a class that opens
takes every processor, and each page would stand in line with it.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

GROUP = Path("/proc/self/autogroup")
"""Linux shares processors among sessions, by this, and then by niceness within each: sched(7), autogroup."""


def change(niceness: int) -> None:
    """Add ``niceness`` (-20 to 19; less goes first) to this process, and to its session if that is its own.

    Less takes root or CAP_SYS_NICE. Without it nothing is changed, and nothing said: it is not missed on a
    machine with time to spare.
    """
    with contextlib.suppress(OSError):
        os.nice(niceness)
    if os.getsid(0) != os.getpid():  # somebody's shell, which goes on when we have ended
        return
    with contextlib.suppress(OSError):  # no such thing here, or not ours to change
        found = re.search(r"nice (-?\d+)", GROUP.read_text())
        GROUP.write_text(str(max(-20, min(19, int(found[1]) + niceness))) if found else "")
