"""Who acts on the server's command line."""

from __future__ import annotations

import getpass

from sandboxes.lifecycle.audit import Origin


def console() -> Origin:
    """The account of the operating system, for the record."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "?"
    return Origin("console", name=f"{name} (command line)")
