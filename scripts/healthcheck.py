"""The container image's health check: exit code 0 when GET /healthz answers 200.

Speaks as the site's own reverse proxy would, so that neither SANDBOX_HOSTS nor SANDBOX_HTTPS
makes a healthy process look ill. Standard library only.
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException


def host() -> str:
    """A name that the site accepts."""
    first = os.environ.get("SANDBOX_HOSTS", "").split(",")[0].strip()
    return first.lstrip(".").replace("*", "") or "localhost"


def main() -> int:
    """Asks this container's own web server; returns the exit code."""
    connection = HTTPConnection("127.0.0.1", 8000, timeout=4)
    try:
        connection.request("GET", "/healthz", headers={"Host": host(), "X-Forwarded-Proto": "https"})
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, HTTPException):
        return 1


if __name__ == "__main__":
    sys.exit(main())
