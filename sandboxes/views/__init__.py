"""Door 1, the browser's: gate, call, render. Nothing here decides what an action means."""

from .site import site

__all__ = ["site"]
