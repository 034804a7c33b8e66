"""Readers of environment variables: what is wrong stops the start with a sentence that names it."""

from __future__ import annotations

import math
import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from .units import parse_size

READ: set[str] = set()
"""The names of all variables that are read here."""
FROM_FILES: dict[str, str] = {}
"""Secrets that were read from a file, by the name of the variable whose place it took."""


def text(name: str, default: str = "") -> str:
    READ.add(name)
    return os.environ.get(name, "").strip() or default


def given(name: str) -> str:
    """A secret: the variable's own value, or what is in the file that ``<name>_FILE`` names."""
    value, path = text(name), text(f"{name}_FILE")
    FROM_FILES.pop(name, None)
    if not path:
        return value
    if value:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; give one of them.")
    FROM_FILES[name] = _read(f"{name}_FILE", path)
    return FROM_FILES[name]


def _read(name: str, path: str) -> str:
    """What is in it, without blanks around it: editors end a file with a line's end."""
    try:
        found = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ImproperlyConfigured(f"{name} cannot be read: {why}.") from None
    if not found:
        raise ImproperlyConfigured(f"{name} names an empty file.")
    return found


def flag(name: str, default: bool) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in {"0", "1", "true", "false", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name} must be 0 or 1, not {value!r}.")
    return value in {"1", "true", "yes", "on"}


def number(name: str, default: float, least: float = 0, most: float = math.inf) -> float:
    try:
        value = float(text(name, str(default)))
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {text(name)!r}.") from None
    if not math.isfinite(value):
        raise ImproperlyConfigured(f"{name} must be a number, not {text(name)!r}.")
    if value < least:
        raise ImproperlyConfigured(f"{name} must be at least {least:g}.")
    if value > most:
        raise ImproperlyConfigured(f"{name} must be at most {most:g}.")
    return value


def whole(name: str, default: int, least: int = 0, most: float = math.inf) -> int:
    return int(number(name, default, least, most))


def size(name: str, default: str) -> int:
    try:
        return parse_size(text(name, default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def among(name: str, value: str, words: str) -> str:
    if value not in words.split():
        raise ImproperlyConfigured(f"{name} must be one of {words}, not {value!r}.")
    return value


def listed(name: str) -> list[str]:
    return [part.strip() for part in text(name).split(",") if part.strip()]


def networks(given: list[str]) -> list[str]:
    """Networks as 10.0.0.0/8; link-local and metadata addresses where nothing is given."""
    from ipaddress import ip_network

    try:
        return [str(ip_network(one)) for one in given or ["169.254.0.0/16", "100.100.100.200/32"]]
    except ValueError as error:
        raise ImproperlyConfigured(f"SANDBOX_NETWORK_REFUSED: {error}.") from None


QUOTAS = ("sandboxes", "memory", "cpus", "disk", "lifetime", "creates", "terminals")


def quotas(parts: list[str]) -> dict[str, int]:
    """``memory=32g,creates=0``: numbers by the name of what they limit."""
    found = {}
    for part in parts:
        what, _, value = part.partition("=")
        try:
            found[among("SANDBOX_STAFF_QUOTAS", what.strip(), " ".join(QUOTAS))] = parse_size(value)
        except ValueError as error:
            raise ImproperlyConfigured(f"SANDBOX_STAFF_QUOTAS: {part}: {error}") from None
    return found


def kept(folder: Path, name: str, length: int) -> str:
    """A secret of our own, made on the first run and kept in the data directory (mode 0600)."""
    path = folder / name
    if not path.exists():
        _keep(path, secrets.token_hex(length))
    found = path.read_text().strip()
    if not found:
        raise ImproperlyConfigured(f"{path} is empty. Restore it, or remove it to have a new one made.")
    return found


def _keep(path: Path, value: str) -> None:
    """Whole or not at all, whenever the process dies; of several at once the first one's stays."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def secret(name: str) -> str:
    """A secret that is long enough not to be guessed, or none."""
    found = given(name)
    if found and len(found) < 16:
        raise ImproperlyConfigured(f"{name} must have at least 16 characters.")
    return found


def key(name: str, folder: Path, file: str) -> str:
    """32 bytes in hex: given, or made on the first run and kept."""
    value = given(name) or kept(folder, file, 32)
    if len(value) != 64 or not set(value.lower()) <= set("0123456789abcdef"):
        raise ImproperlyConfigured(f"{name} must be 64 hexadecimal digits: openssl rand -hex 32.")
    return value


def url(name: str) -> str:
    value = text(name)
    if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
        raise ImproperlyConfigured(f"{name} must begin with https:// or http://.")
    return value


def database(url: str, folder: Path) -> dict[str, object]:
    """Embedded SQLite without a URL; ``postgres://user:password@host:port/name`` with one."""
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder / "db.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
            },
            # A file, not memory: tests read it from several threads and processes.
            "TEST": {"NAME": folder / "test.sqlite3"},
        }
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must start with postgres://.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": dict(parse_qsl(parts.query)),  # sslmode, a socket's folder as host: libpq's own words
    }


def mailers(url: str) -> dict[str, dict[str, object]]:
    """``smtp://user:password@host:587`` (STARTTLS; ``?tls=0`` without) or ``smtps://``; none without one."""
    if not url:
        return {}
    parts, is_ssl = urlsplit(url), url.startswith("smtps:")
    try:
        port = parts.port or (465 if is_ssl else 587)
    except ValueError:
        port = 0
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or not port:
        raise ImproperlyConfigured("SANDBOX_EMAIL_URL must be smtp://host:port or smtps://host:port.")
    options: dict[str, object] = {
        "host": parts.hostname, "port": port, "timeout": 10, "use_ssl": is_ssl,
        "use_tls": not is_ssl and dict(parse_qsl(parts.query)).get("tls") != "0",
        "username": unquote(parts.username or ""), "password": unquote(parts.password or ""),
    }  # fmt: skip
    return {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}
