"""Settings from the environment; a wrong value stops the start with a sentence that names it."""

from __future__ import annotations

import math
import os
import secrets
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

BASE_DIR = Path(__file__).resolve().parent.parent


SANDBOX_READ: set[str] = set()
"""The names of all variables that are read here."""


def _text(name: str, default: str = "") -> str:
    SANDBOX_READ.add(name)
    return os.environ.get(name, "").strip() or default


def _flag(name: str, default: bool) -> bool:
    value = _text(name, "1" if default else "0").lower()
    if value not in {"0", "1", "true", "false", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name} must be 0 or 1, not {value!r}.")
    return value in {"1", "true", "yes", "on"}


def _number(name: str, default: float, least: float = 0) -> float:
    try:
        value = float(_text(name, str(default)))
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {_text(name)!r}.") from None
    if not math.isfinite(value):
        raise ImproperlyConfigured(f"{name} must be a number, not {_text(name)!r}.")
    if value < least:
        raise ImproperlyConfigured(f"{name} must be at least {least:g}.")
    return value


def _size(name: str, default: str) -> int:
    from .units import parse_size

    try:
        return parse_size(_text(name, default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def _among(name: str, value: str, words: str) -> str:
    if value not in words.split():
        raise ImproperlyConfigured(f"{name} must be one of {words}, not {value!r}.")
    return value


def _list(name: str) -> list[str]:
    return [part.strip() for part in _text(name).split(",") if part.strip()]


def _networks(given: list[str]) -> list[str]:
    """Networks as 10.0.0.0/8; link-local and metadata addresses where nothing is given."""
    from ipaddress import ip_network

    try:
        return [str(ip_network(one)) for one in given or ["169.254.0.0/16", "100.100.100.200/32"]]
    except ValueError as error:
        raise ImproperlyConfigured(f"SANDBOX_NETWORK_REFUSED: {error}.") from None


QUOTAS = ("sandboxes", "memory", "cpus", "disk", "lifetime", "creates", "terminals")


def _quotas(parts: list[str]) -> dict[str, int]:
    """``memory=32g,creates=0``: numbers by the name of what they limit."""
    from .units import parse_size

    found = {}
    for part in parts:
        what, _, value = part.partition("=")
        try:
            found[_among("SANDBOX_STAFF_QUOTAS", what.strip(), " ".join(QUOTAS))] = parse_size(value)
        except ValueError as error:
            raise ImproperlyConfigured(f"SANDBOX_STAFF_QUOTAS: {part}: {error}") from None
    return found


# --- where things are -------------------------------------------------------------------------
DATA_DIR = Path(_text("SANDBOX_DATA", str(BASE_DIR / "var")))
DATA_DIR.mkdir(parents=True, exist_ok=True)


def _kept(name: str, length: int) -> str:
    """A secret of our own, made on the first run and kept in the data directory (mode 0600)."""
    path = DATA_DIR / name
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(length))
    except FileExistsError:
        pass
    return path.read_text().strip()


def _secret(name: str, value: str, path: str) -> str:
    """A secret given as itself or as a file that holds it; long enough not to be guessed."""
    try:
        found = value or (Path(path).read_text().strip() if path else "")
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error.strerror}.") from None
    if found and len(found) < 16:
        raise ImproperlyConfigured(f"{name} must have at least 16 characters.")
    return found


def _key(name: str, kept: str) -> str:
    """32 bytes in hex: given, or made on the first run and kept."""
    value = _text(name) or _kept(kept, 32)
    if len(value) != 64 or not set(value.lower()) <= set("0123456789abcdef"):
        raise ImproperlyConfigured(f"{name} must be 64 hexadecimal digits: openssl rand -hex 32.")
    return value


def _url(name: str) -> str:
    value = _text(name)
    if value and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
        raise ImproperlyConfigured(f"{name} must begin with https:// or http://.")
    return value


DEBUG = _flag("SANDBOX_DEBUG", False)
SECRET_KEY = _text("SANDBOX_SECRET_KEY") or _kept("secret_key", 32)
ALLOWED_HOSTS = _list("SANDBOX_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = _list("SANDBOX_ORIGINS")
SECURE = _flag("SANDBOX_HTTPS", False)
SANDBOX_PROXIES = int(_number("SANDBOX_PROXIES", 0))  # of ours in front, each of which adds X-Forwarded-For

# --- Django ------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "daphne",
    "sandboxes",  # before auth: its createsuperuser and changepassword are on record
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "django_htmx",
    "sandboxes.labs",
]
MIDDLEWARE = [
    "sandboxes.views.middleware.Requests",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "sandboxes.labs.middleware.OneCourse",
]
ROOT_URLCONF = "sandboxes.urls"
ASGI_APPLICATION = "sandboxes.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "sandboxes.views.site",
            ],
            "builtins": ["sandboxes.templatetags.sandboxes"],
        },
    }
]
AUTH_USER_MODEL = "sandboxes.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "sandboxes.labs.gate.CourseBackend",
]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "sandbox_list"
LOGOUT_REDIRECT_URL = "sign_in"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = _text("SANDBOX_TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"


def _database(url: str) -> dict[str, object]:
    """Embedded SQLite without a URL; ``postgres://user:password@host:port/name`` with one."""
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "db.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
            },
            # A file, not memory: tests read it from several threads and processes.
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
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


DATABASES = {"default": _database(_text("DATABASE_URL"))}

SANDBOX_INSTALL = _text("SANDBOX_INSTALL") or _kept("install", 4)
"""Marks what is ours where others are too: labels on the engine, channels in Redis."""

REDIS_URL = _text("REDIS_URL")
CHANNEL_LAYERS: dict[str, dict[str, object]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": f"sandboxes-{SANDBOX_INSTALL}"},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

# --- static files: straight from their folders in development, collected and hashed in the image ---
STATIC_URL = "static/"
STATIC_ROOT = Path(_text("SANDBOX_STATIC_ROOT", str(DATA_DIR / "static")))
_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "static"] + [
    (f"vendor/{name}", _MODULES / folder)
    for name, folder in {
        "xterm": "@xterm/xterm/lib",
        "xterm-css": "@xterm/xterm/css",
        "addon-fit": "@xterm/addon-fit/lib",
        "addon-search": "@xterm/addon-search/lib",
        "addon-web-links": "@xterm/addon-web-links/lib",
        "addon-unicode11": "@xterm/addon-unicode11/lib",
        "addon-webgl": "@xterm/addon-webgl/lib",
        "asciinema": "asciinema-player/dist/bundle",
        "inter": "@fontsource-variable/inter/files",
        "jetbrains-mono": "@fontsource-variable/jetbrains-mono/files",
    }.items()
    if (_MODULES / folder).is_dir()
]
_COLLECTED = _flag("SANDBOX_COLLECTED", False)
WHITENOISE_USE_FINDERS = not _COLLECTED
WHITENOISE_AUTOREFRESH = not _COLLECTED
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- the web side ------------------------------------------------------------------------------
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "connect-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
_DEVICES = ("accelerometer", "camera", "clipboard-read", "display-capture", "geolocation", "gyroscope", "hid",
            "magnetometer", "microphone", "midi", "payment", "serial", "usb")  # fmt: skip
PERMISSIONS_POLICY = ", ".join(
    f"{name}=()" for name in _DEVICES
)  # none of the browser's that pages do not need
CSRF_FAILURE_VIEW = "sandboxes.views.errors.no_token"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SECURE
SECURE_HSTS_SECONDS = 31536000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
if SECURE:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def _mailers(url: str) -> dict[str, dict[str, object]]:
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


MAILERS = _mailers(_text("SANDBOX_EMAIL_URL"))  # for personal links; without one nothing is sent
SILENCED_SYSTEM_CHECKS = [] if MAILERS else ["mail.W001"]  # labs.mailing asks before it sends
DEFAULT_FROM_EMAIL = _text("SANDBOX_EMAIL_FROM", "sandboxes@localhost")

# --- sandboxes ---------------------------------------------------------------------------------
SANDBOX_STARTER = _text("SANDBOX_STARTER", "sandboxes/starter:latest")
SANDBOX_NETWORK_NAME = _text("SANDBOX_NETWORK_NAME", "sandboxes")
SANDBOX_NETWORK_REFUSED = _networks(_list("SANDBOX_NETWORK_REFUSED"))  # beside the host itself
SANDBOX_ACCEPT_UNGUARDED_NETWORK = _flag("SANDBOX_ACCEPT_UNGUARDED_NETWORK", False)  # internet all the same
SANDBOX_DEFAULT_MEMORY = _size("SANDBOX_DEFAULT_MEMORY", "512m")
SANDBOX_DEFAULT_CPUS = _number("SANDBOX_DEFAULT_CPUS", 1, 0.01)
SANDBOX_DEFAULT_PIDS = int(_number("SANDBOX_DEFAULT_PIDS", 256, 1))
SANDBOX_DEFAULT_LIFETIME = int(_number("SANDBOX_DEFAULT_LIFETIME", 3600, 1))
SANDBOX_MIN_MEMORY = _size("SANDBOX_MIN_MEMORY", "6m")
SANDBOX_MAX_MEMORY = _size("SANDBOX_MAX_MEMORY", "2g")
SANDBOX_DEFAULT_DISK = _size("SANDBOX_DEFAULT_DISK", "2g")  # what a sandbox may write
SANDBOX_DISK_FLOOR = _size("SANDBOX_DISK_FLOOR", "1g")  # free on the engine's disk, else nothing is launched
SANDBOX_MIN_CPUS = _number("SANDBOX_MIN_CPUS", 0.01, 0.01)
SANDBOX_MAX_CPUS = _number("SANDBOX_MAX_CPUS", 0)  # 0: what the host has
SANDBOX_MAX_PIDS = int(_number("SANDBOX_MAX_PIDS", 4096, 1))
SANDBOX_MAX_LIFETIME = int(_number("SANDBOX_MAX_LIFETIME", 8 * 3600, 1))
SANDBOX_EXTEND_BY = int(_number("SANDBOX_EXTEND_BY", 1800, 1))
SANDBOX_QUOTA_SANDBOXES = int(_number("SANDBOX_QUOTA_SANDBOXES", 20, 1))
SANDBOX_QUOTA_MEMORY = _size("SANDBOX_QUOTA_MEMORY", "8g")
SANDBOX_QUOTA_CPUS = int(_number("SANDBOX_QUOTA_CPUS", 0))  # from here on 0: no limit
SANDBOX_QUOTA_DISK = _size("SANDBOX_QUOTA_DISK", "40g")
SANDBOX_QUOTA_LIFETIME = int(_number("SANDBOX_QUOTA_LIFETIME", 0))  # seconds
SANDBOX_QUOTA_CREATES = int(_number("SANDBOX_QUOTA_CREATES", 30))  # in ten minutes
SANDBOX_QUOTA_TERMINALS = int(_number("SANDBOX_QUOTA_TERMINALS", 40))
SANDBOX_STAFF_QUOTAS = _quotas(_list("SANDBOX_STAFF_QUOTAS"))  # where staff's differ: memory=32g
SANDBOX_MEMORY_SHARE = int(_number("SANDBOX_MEMORY_SHARE", 70))  # percent of the host's, for all; 0: any
SANDBOX_MEMORY_BUDGET = _size("SANDBOX_MEMORY_BUDGET", "0")  # the same as a size
SANDBOX_WORKERS = int(_number("SANDBOX_WORKERS", 8))  # engine actions at a time; 0: in the caller
SANDBOX_COMMAND_WORKERS = int(_number("SANDBOX_COMMAND_WORKERS", 32))  # commands at a time; 0: same
SANDBOX_COMMANDS = int(_number("SANDBOX_COMMANDS", 8, 1))  # of them in one sandbox
SANDBOX_USER_COMMANDS = int(_number("SANDBOX_USER_COMMANDS", 8, 1))  # of them by one person
SANDBOX_COMMAND_TIME_LIMIT = int(_number("SANDBOX_COMMAND_TIME_LIMIT", 60, 1))
SANDBOX_OUTPUT_CAP = _size("SANDBOX_OUTPUT_CAP", "1m")  # kept of each stream: half head, half tail
SANDBOX_STOP_GRACE = int(_number("SANDBOX_STOP_GRACE", 2))
SANDBOX_CLEANUP_INTERVAL = _number("SANDBOX_CLEANUP_INTERVAL", 10, 0.2)
SANDBOX_CLAIM_LIMIT = _number("SANDBOX_CLAIM_LIMIT", 120, 1)  # seconds until a claim is stale
SANDBOX_ORPHAN_GRACE = _number("SANDBOX_ORPHAN_GRACE", 60)
SANDBOX_LEASE = _number("SANDBOX_LEASE", 10, 1)  # seconds a process counts as alive after its last sign
SANDBOX_TERMINAL_GRACE = _number("SANDBOX_TERMINAL_GRACE", 60)  # seconds a shell lives without a viewer
SANDBOX_TERMINALS = int(_number("SANDBOX_TERMINALS", 8, 1))  # a sandbox
SANDBOX_CLIENT_PATIENCE = _number("SANDBOX_CLIENT_PATIENCE", 20, 1)  # seconds for a request's head
SANDBOX_WAVE = int(_number("SANDBOX_WAVE", 4, 1))  # seats of a lab that are started at a time
SANDBOX_WORK_CAP = _size("SANDBOX_WORK_CAP", "50m")  # of a seat's saved workspace
SANDBOX_WORK_DAYS = int(_number("SANDBOX_WORK_DAYS", 180))  # saved workspaces of seats; 0: for ever
SANDBOX_KEEP_DAYS = int(_number("SANDBOX_KEEP_DAYS", 30, 1))  # records of removed sandboxes' output
# the least that is recorded of terminals: off, optional or always; images and labs may ask for more
SANDBOX_RECORDING = _among("SANDBOX_RECORDING", _text("SANDBOX_RECORDING", "off"), "off optional always")
SANDBOX_RECORDING_KEYSTROKES = _flag("SANDBOX_RECORDING_KEYSTROKES", False)
SANDBOX_RECORDING_CAP = _size("SANDBOX_RECORDING_CAP", "20m")  # of one recording, unpacked
SANDBOX_RECORDING_TOTAL = _size("SANDBOX_RECORDING_TOTAL", "5g")  # of all of them, on disk
SANDBOX_RECORDING_DAYS = int(_number("SANDBOX_RECORDING_DAYS", 30, 1))

SANDBOX_AUDIT_KEY = _key("SANDBOX_AUDIT_KEY", "audit_key")  # signs the head of the trail (Ed25519, in hex)
# where the signed head goes: a file, and a webhook; seconds between two of them
SANDBOX_AUDIT_HEAD_FILE = _text("SANDBOX_AUDIT_HEAD_FILE", str(DATA_DIR / "audit_head.json"))
SANDBOX_AUDIT_HEAD_URL = _url("SANDBOX_AUDIT_HEAD_URL")
SANDBOX_AUDIT_HEAD_INTERVAL = _number("SANDBOX_AUDIT_HEAD_INTERVAL", 60, 1)

SANDBOX_METRICS_TOKEN = _secret(  # without one there is no /metrics
    "SANDBOX_METRICS_TOKEN", _text("SANDBOX_METRICS_TOKEN"), _text("SANDBOX_METRICS_TOKEN_FILE")
)
SANDBOX_FEED_FILE = _text("SANDBOX_FEED_FILE")  # the trail as lines of JSON; "-": standard output
SANDBOX_WEBHOOK_REACH = _among(
    "SANDBOX_WEBHOOK_REACH", _text("SANDBOX_WEBHOOK_REACH", "private"), "public private local"
)
SANDBOX_WEBHOOK_QUEUE = int(_number("SANDBOX_WEBHOOK_QUEUE", 10_000, 1))  # events that wait for one webhook

# --- joints: what core asks of the wings above it, by name ---------------------------------------
SANDBOX_LOOPS = ("cleanup", "provision", "audit")  # management commands that `serve` keeps running
SANDBOX_OWNER_RULE = "sandboxes.labs.gate.taken_back"  # of these ids, those their owners have lost
SANDBOX_HOLD_RULE = "sandboxes.labs.progress.held"  # why its owner may not act on a sandbox just now
SANDBOX_SPARE_RULE = "sandboxes.labs.seats.unsaved"  # of these ids, those not to be removed as expired yet
SANDBOX_NAME_RULE = "sandboxes.labs.members.known_as"  # what somebody is called where a sandbox is
SANDBOX_TYPING_RULE = "sandboxes.labs.gate.typing_rule"
SANDBOX_QUEUES = {"seats": "sandboxes.labs.seats.waiting"}  # further queues of /metrics: name to length
SANDBOX_PLACE = "sandboxes.labs.trail.place_of"  # where an event about a sandbox happened
SANDBOX_EVENT_WORDS = ("sandboxes.labs.event_words.ACTS",)  # further actions that may stand on record
SANDBOX_LINKS = (("courses", "Courses", "course_list"),)  # further places in the bar: section, word, URL name
SANDBOX_SECTIONS = {
    "courses": ("course", "lab", "seat", "roster", "template", "wall", "look", "join", "cards")
}  # by URL names' first word
SANDBOX_SHEETS = ("labs-people", "labs-seat", "labs-wall")  # further style sheets
SANDBOX_ROUTES = "sandboxes.labs.sockets.PATHS"  # further sockets: pattern to ASGI application
SANDBOX_MODULES = ("labs",)  # further scripts of every page

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s%(request_note)s: %(message)s"}},
    "filters": {
        "request": {"()": "sandboxes.request_ids.InLog"},
        "unsaid": {"()": "sandboxes.unsaid.Unsaid"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request"]},
    },
    "root": {"handlers": ["stderr"], "level": _text("SANDBOX_LOG_LEVEL", "INFO")},
    "loggers": {
        "urllib3": {"level": "ERROR"},
        "daphne": {"level": "WARNING"},
        "django.request": {"filters": ["unsaid"]},  # a logger's own filters see only what is said to it
        "django.security.csrf": {"filters": ["unsaid"]},
    },
}
