"""Settings from the environment; a wrong value stops the start with a sentence that names it."""

from __future__ import annotations

from pathlib import Path

from django.utils.csp import CSP

from . import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent


# --- where things are -------------------------------------------------------------------------
DATA_DIR = Path(env.text("SANDBOX_DATA", str(BASE_DIR / "var")))
DATA_DIR.mkdir(parents=True, exist_ok=True)
SANDBOX_READ = env.READ  # the names of all variables that have been read
SANDBOX_FROM_FILES = env.FROM_FILES  # of secrets given as NAME_FILE: what was in there, by NAME
QUOTAS = env.QUOTAS

DEBUG = env.flag("SANDBOX_DEBUG", False)
SECRET_KEY = env.given("SANDBOX_SECRET_KEY") or env.kept(DATA_DIR, "secret_key", 32)
ALLOWED_HOSTS = env.listed("SANDBOX_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = env.listed("SANDBOX_ORIGINS")
SECURE = env.flag("SANDBOX_HTTPS", False)
SANDBOX_PROXIES = env.whole("SANDBOX_PROXIES", 0)  # of ours in front, each of which adds X-Forwarded-For

# --- Django ------------------------------------------------------------------------------------
INSTALLED_APPS = [
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
TIME_ZONE = env.text("SANDBOX_TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = "sandboxes.formats"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"


DATABASES = {"default": env.database(env.given("DATABASE_URL"), DATA_DIR)}

SANDBOX_INSTALL = env.text("SANDBOX_INSTALL") or env.kept(DATA_DIR, "install", 4)
"""Marks what is ours where others are too: labels on the engine, channels in Redis."""

REDIS_URL = env.given("REDIS_URL")
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
STATIC_ROOT = Path(env.text("SANDBOX_STATIC_ROOT", str(DATA_DIR / "static")))
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
_COLLECTED = env.flag("SANDBOX_COLLECTED", False)
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


MAILERS = env.mailers(env.given("SANDBOX_EMAIL_URL"))  # for personal links; without one nothing is sent
SILENCED_SYSTEM_CHECKS = [] if MAILERS else ["mail.W001"]  # labs.mailing asks before it sends
DEFAULT_FROM_EMAIL = env.text("SANDBOX_EMAIL_FROM", "sandboxes@localhost")

# --- sandboxes ---------------------------------------------------------------------------------
SANDBOX_STARTER = env.text("SANDBOX_STARTER", "sandboxes/starter:latest")
SANDBOX_NETWORK_NAME = env.text("SANDBOX_NETWORK_NAME", "sandboxes")
SANDBOX_NETWORK_REFUSED = env.networks(env.listed("SANDBOX_NETWORK_REFUSED"))  # beside the host itself
SANDBOX_ACCEPT_UNGUARDED_NETWORK = env.flag(
    "SANDBOX_ACCEPT_UNGUARDED_NETWORK", False
)  # internet all the same
SANDBOX_DEFAULT_MEMORY = env.size("SANDBOX_DEFAULT_MEMORY", "512m")
SANDBOX_DEFAULT_CPUS = env.number("SANDBOX_DEFAULT_CPUS", 1, 0.01)
SANDBOX_DEFAULT_PIDS = env.whole("SANDBOX_DEFAULT_PIDS", 256, 1)
SANDBOX_DEFAULT_LIFETIME = env.whole("SANDBOX_DEFAULT_LIFETIME", 3600, 1)
SANDBOX_MIN_MEMORY = env.size("SANDBOX_MIN_MEMORY", "6m")
SANDBOX_MAX_MEMORY = env.size("SANDBOX_MAX_MEMORY", "2g")
SANDBOX_DEFAULT_DISK = env.size("SANDBOX_DEFAULT_DISK", "2g")  # what a sandbox may write
SANDBOX_DISK_FLOOR = env.size(
    "SANDBOX_DISK_FLOOR", "1g"
)  # free on the engine's disk, else nothing is launched
SANDBOX_FILES_FLOOR = env.whole("SANDBOX_FILES_FLOOR", 5)  # percent of its files, likewise; 0: never
SANDBOX_MIN_CPUS = env.number("SANDBOX_MIN_CPUS", 0.05, 0.01)
SANDBOX_MAX_CPUS = env.number("SANDBOX_MAX_CPUS", 0)  # 0: what the host has
SANDBOX_MAX_PIDS = env.whole("SANDBOX_MAX_PIDS", 4096, 1)
SANDBOX_MAX_LIFETIME = env.whole("SANDBOX_MAX_LIFETIME", 8 * 3600, 1)
SANDBOX_IDLE = env.whole("SANDBOX_IDLE", 3600)  # seconds without use until it is stopped; 0: never
SANDBOX_IDLE_CPU = env.number("SANDBOX_IDLE_CPU", 0.05)  # cores; from here on computing counts as use
SANDBOX_EXTEND_BY = env.whole("SANDBOX_EXTEND_BY", 1800, 1)
SANDBOX_QUOTA_SANDBOXES = env.whole("SANDBOX_QUOTA_SANDBOXES", 20, 1)
SANDBOX_QUOTA_MEMORY = env.size("SANDBOX_QUOTA_MEMORY", "8g")
SANDBOX_QUOTA_CPUS = env.whole("SANDBOX_QUOTA_CPUS", 0)  # from here on 0: no limit
SANDBOX_QUOTA_DISK = env.size("SANDBOX_QUOTA_DISK", "40g")
SANDBOX_QUOTA_LIFETIME = env.whole("SANDBOX_QUOTA_LIFETIME", 0)  # seconds
SANDBOX_QUOTA_CREATES = env.whole("SANDBOX_QUOTA_CREATES", 30)  # in ten minutes
SANDBOX_QUOTA_TERMINALS = env.whole("SANDBOX_QUOTA_TERMINALS", 40)
SANDBOX_STAFF_QUOTAS = env.quotas(env.listed("SANDBOX_STAFF_QUOTAS"))  # where staff's differ: memory=32g
SANDBOX_MEMORY_SHARE = env.whole("SANDBOX_MEMORY_SHARE", 70)  # percent of the host's, for all; 0: any
SANDBOX_MEMORY_BUDGET = env.size("SANDBOX_MEMORY_BUDGET", "0")  # the same as a size
SANDBOX_WORKERS = env.whole("SANDBOX_WORKERS", 8)  # engine actions at a time; 0: in the caller
SANDBOX_COMMAND_WORKERS = env.whole("SANDBOX_COMMAND_WORKERS", 32)  # commands at a time; 0: same
SANDBOX_COMMANDS = env.whole("SANDBOX_COMMANDS", 8, 1)  # of them in one sandbox
SANDBOX_USER_COMMANDS = env.whole("SANDBOX_USER_COMMANDS", 8, 1)  # of them by one person
SANDBOX_USER_COMMAND_PACE = env.whole("SANDBOX_USER_COMMAND_PACE", 600)  # begun in ten minutes; 0: any
SANDBOX_COMMAND_TIME_LIMIT = env.whole("SANDBOX_COMMAND_TIME_LIMIT", 60, 1)
SANDBOX_OUTPUT_CAP = env.size("SANDBOX_OUTPUT_CAP", "1m")  # kept of each stream: half head, half tail
SANDBOX_OUTPUT_KEPT = env.size("SANDBOX_OUTPUT_KEPT", "64m")  # of a sandbox's latest commands together
SANDBOX_STOP_GRACE = env.whole("SANDBOX_STOP_GRACE", 2)
SANDBOX_CLEANUP_INTERVAL = env.number("SANDBOX_CLEANUP_INTERVAL", 10, 0.2, 11)  # so often disks are looked at
SANDBOX_CLAIM_LIMIT = env.number("SANDBOX_CLAIM_LIMIT", 120, 1)  # seconds until a claim is stale
SANDBOX_ORPHAN_GRACE = env.number("SANDBOX_ORPHAN_GRACE", 60)
SANDBOX_LEASE = env.number("SANDBOX_LEASE", 10, 1)  # seconds a process counts as alive after its last sign
SANDBOX_TERMINAL_GRACE = env.number("SANDBOX_TERMINAL_GRACE", 60)  # seconds a shell lives without a viewer
SANDBOX_LENT_TERMINAL_GRACE = env.number("SANDBOX_LENT_TERMINAL_GRACE", 600)  # the same at a lab's seat
SANDBOX_TERMINALS = env.whole("SANDBOX_TERMINALS", 8, 1)  # a sandbox
SANDBOX_USER_SOCKETS = env.whole("SANDBOX_USER_SOCKETS", 120)  # of one person in a web process; 0: any
SANDBOX_TERMINAL_VIEWERS = env.whole("SANDBOX_TERMINAL_VIEWERS", 100)  # its owner gets in regardless; 0: any
SANDBOX_CLIENT_PATIENCE = env.number("SANDBOX_CLIENT_PATIENCE", 20, 1)  # seconds for a request's head
SANDBOX_NICENESS = env.whole("SANDBOX_NICENESS", -5, -20, 19)  # of the web server, where it may
SANDBOX_WAVE = env.whole("SANDBOX_WAVE", 4, 1)  # seats of a lab that are started at a time
SANDBOX_WORK_CAP = env.size("SANDBOX_WORK_CAP", "50m")  # of a seat's saved workspace
SANDBOX_WORK_DAYS = env.whole("SANDBOX_WORK_DAYS", 180)  # saved workspaces of seats; 0: for ever
SANDBOX_KEEP_DAYS = env.whole("SANDBOX_KEEP_DAYS", 30, 1)  # records of removed sandboxes' output
# the least that is recorded of terminals: off, optional or always; images and labs may ask for more
SANDBOX_RECORDING = env.among(
    "SANDBOX_RECORDING", env.text("SANDBOX_RECORDING", "off"), "off optional always"
)
SANDBOX_RECORDING_KEYSTROKES = env.flag("SANDBOX_RECORDING_KEYSTROKES", False)
SANDBOX_RECORDING_CAP = env.size("SANDBOX_RECORDING_CAP", "20m")  # of one recording, unpacked
SANDBOX_RECORDING_TOTAL = env.size("SANDBOX_RECORDING_TOTAL", "5g")  # of all of them, on disk
SANDBOX_RECORDING_DAYS = env.whole("SANDBOX_RECORDING_DAYS", 30, 1)

SANDBOX_AUDIT_KEY = env.key(
    "SANDBOX_AUDIT_KEY", DATA_DIR, "audit_key"
)  # signs the head of the trail (Ed25519, in hex)
# where the signed head goes: a file, and a webhook; seconds between two of them
SANDBOX_AUDIT_HEAD_FILE = env.text("SANDBOX_AUDIT_HEAD_FILE", str(DATA_DIR / "audit_head.json"))
SANDBOX_AUDIT_HEAD_URL = env.url("SANDBOX_AUDIT_HEAD_URL")
SANDBOX_AUDIT_HEAD_INTERVAL = env.number("SANDBOX_AUDIT_HEAD_INTERVAL", 60, 1)

SANDBOX_METRICS_TOKEN = env.secret("SANDBOX_METRICS_TOKEN")  # without one there is no /metrics
SANDBOX_FEED_FILE = env.text("SANDBOX_FEED_FILE")  # the trail as lines of JSON; "-": standard output
SANDBOX_WEBHOOK_REACH = env.among(
    "SANDBOX_WEBHOOK_REACH", env.text("SANDBOX_WEBHOOK_REACH", "private"), "public private local"
)
SANDBOX_WEBHOOK_QUEUE = env.whole("SANDBOX_WEBHOOK_QUEUE", 10_000, 1)  # events that wait for one webhook

# --- joints: what core asks of the wings above it, by name ---------------------------------------
SANDBOX_LOOPS = ("cleanup", "provision", "audit")  # management commands that `serve` keeps running
SANDBOX_OWNER_RULE = "sandboxes.labs.gate.taken_back"  # of these ids, those their owners have lost
SANDBOX_HOLD_RULE = "sandboxes.labs.progress.held"  # why its owner may not act on a sandbox just now
SANDBOX_SPARE_RULE = "sandboxes.labs.seats.unsaved"  # of these ids, those not to be removed as expired yet
SANDBOX_TELLER = "sandboxes.labs.trail.tell_of_sandbox"  # tells people of a sandbox something, in a sentence
SANDBOX_NAME_RULE = "sandboxes.labs.members.known_as"  # what somebody is called where a sandbox is
SANDBOX_LEFT_RULE = "sandboxes.labs.leftovers.long_over"  # of these ids, those that nothing will use again
SANDBOX_COPY_RULE = "sandboxes.labs.copies.was_ours"  # whether a wing was putting files into a sandbox then
SANDBOX_IMAGE_RULE = "sandboxes.labs.lab_templates.planned_on"  # what a wing needs images for, by reference
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
    "formatters": {
        "line": {
            "()": "sandboxes.unsaid.Line",
            "fmt": "%(asctime)s %(levelname)s %(name)s%(request_note)s: %(message)s",
        }
    },
    "filters": {
        "request": {"()": "sandboxes.request_ids.InLog"},
        "unsaid": {"()": "sandboxes.unsaid.Unsaid"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request"]},
    },
    "root": {"handlers": ["stderr"], "level": env.text("SANDBOX_LOG_LEVEL", "INFO")},
    "loggers": {
        "urllib3": {"level": "ERROR"},
        "daphne": {"level": "WARNING"},
        "django.request": {"filters": ["unsaid"]},  # a logger's own filters see only what is said to it
        "django.security.csrf": {"filters": ["unsaid"]},
    },
}
