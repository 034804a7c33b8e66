"""Makes sure that the browser tests have a chromium: Debian's, installed when root and missing."""

from __future__ import annotations

import shutil
import subprocess
import sys

from scripts import debian

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """The path of a browser that runs; Ubuntu's `chromium-browser` may only be a note about snap."""
    for path in filter(None, map(shutil.which, NAMES)):
        done = subprocess.run([path, "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return path
    return None


def main() -> int:
    """Exit code 0 when there is a browser, else 1 with what to do."""
    if find():
        return 0
    print("browser: installing chromium for the browser tests", flush=True)
    try:
        debian.install("chromium")
    except debian.NotInstalled as error:
        print(f"browser: {error}")
    if find():
        return 0
    print("browser: no chromium runs here. Install one so that `chromium --version` works.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
