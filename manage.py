#!/usr/bin/env python3
"""Django's command line for this project: `manage.py serve`, `manage.py bootstrap`, ..."""

import os
import sys


def main() -> None:
    """Runs one management command with this project's settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sandboxes.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
