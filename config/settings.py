"""The one settings file; what differs between installations comes from the environment (docs/settings.md)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from config.env import BASE, env, flag, number, path, text, words
from config.logs import logging_config
from config.theme import UNFOLD as UNFOLD

VAR = path("PERENNIAL_VAR", BASE / "var")
VAR.mkdir(parents=True, exist_ok=True)

DEBUG = flag("DEBUG")
SECRET_KEY = text("SECRET_KEY", "insecure-development-key")
SECRET_KEY_FALLBACKS = words("SECRET_KEY_FALLBACKS", [])
SUPPRESSION_KEY = text("SUPPRESSION_KEY", "insecure-suppression-key")
ALLOWED_HOSTS = words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS", [])
PUBLIC_URL = text("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
HTTPS = PUBLIC_URL.startswith("https://")
ALLOW_FAULTS = False
DEMO = flag("PERENNIAL_DEMO")
INSTANCE = text("PERENNIAL_INSTANCE")
DAY_SECONDS = number("PERENNIAL_DAY_SECONDS", 86400)
OUTBOX_LEASE_SECONDS = number("PERENNIAL_OUTBOX_LEASE_SECONDS", 60)
OUTBOX_KEEP_DAYS = text("OUTBOX_KEEP_DAYS")
MESSAGE_CAPS = text("MESSAGE_CAPS", "email=1/day,3/week sms=1/week push=1/day all=2/day")
MESSAGE_GAPS = text("MESSAGE_GAPS", "email=16h sms=24h push=24h")
QUIET_HOURS = text("QUIET_HOURS", "email=21:00-08:00 sms=21:00-08:00 push=21:00-08:00")
OVER_CAP = text("OVER_CAP", "hold")
FOUR_EYES_ABOVE = number("FOUR_EYES_ABOVE", 0) if text("FOUR_EYES_ABOVE") else None
RECEIPT_FLOOD = text("RECEIPT_FLOOD", "hard=15% soft=30% complained=2% unsubscribed=15%")
RECEIPT_FLOOD_FEWEST = number("RECEIPT_FLOOD_FEWEST", 50)
OUTBOUND_HTTP = flag("PERENNIAL_OUTBOUND_HTTP")
OUTBOUND_PRIVATE = words("PERENNIAL_OUTBOUND_PRIVATE", [])

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "django_filters",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_standardized_errors",
    "import_export",
    "simple_history",
    "common",
    "segments",
    "messaging",
    "campaigns",
    "config",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "config.clockface.workspace_zone",
    "config.content_policy.content_policy",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

_SQLITE = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
}
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db("DATABASE_URL", default=f"sqlite:///{VAR / 'perennial.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"].setdefault("OPTIONS", {}).update(_SQLITE)
    DATABASES["default"]["TEST"] = {"NAME": VAR / "test.sqlite3"}  # a file: threads must share it as processes do
else:
    DATABASES["default"].setdefault("OPTIONS", {})["server_side_binding"] = True
    if flag("DATABASE_POOLER"):  # it knows neither prepared statements nor start-up options
        DATABASES["default"]["OPTIONS"]["prepare_threshold"] = None
    else:  # compiling a plan to machine code costs our short queries more (0.5 s) than it saves
        DATABASES["default"]["OPTIONS"] |= {"prepare_threshold": 5, "options": "-c jit=off"}
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if SCRATCH := text("PERENNIAL_SCRATCH"):  # a back-test: its own database, and the installation's to read
    _LIVE = DATABASES["default"]
    _LIVE["NAME"] = text("PERENNIAL_LIVE", str(_LIVE["NAME"]))
    if _LIVE["ENGINE"].endswith("sqlite3"):
        _LIVE["OPTIONS"] = {"timeout": 20, "init_command": "PRAGMA query_only=ON;"}
    else:
        _LIVE["OPTIONS"]["options"] = "-c default_transaction_read_only=on"
    _PASSING = "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA foreign_keys=ON;"
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": SCRATCH,
            "OPTIONS": {**_SQLITE, "init_command": _PASSING},
        },
        "live": _LIVE,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = text("LANGUAGE_CODE", "en")
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE / "config" / "locale"]
USE_I18N = True
USE_TZ = True
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
FORMAT_MODULE_PATH = ["config.formats"]
TIME_ZONE = "UTC"
WORKSPACE_ZONE = text("WORKSPACE_ZONE", "UTC")
STAGE_PRESET = text("STAGE_PRESET", "commerce")
LEVEL_TERM_DAYS = number("LEVEL_TERM_DAYS", 365)
LEVEL_GRACE_DAYS = number("LEVEL_GRACE_DAYS", 0)
LEVEL_FALL = text("LEVEL_FALL", "one_down")
CURRENCY = text("CURRENCY", "USD")
EXCHANGE_RATES = dict(pair.split("=", 1) for pair in words("EXCHANGE_RATES", []) if "=" in pair)
ATTRIBUTION_PATH = text("ATTRIBUTION_PATH", "all")

BRAND_NAME = text("BRAND_NAME", "Perennial")
BRAND_URL = text("BRAND_URL", PUBLIC_URL).rstrip("/")
BRAND_ADDRESS = text("BRAND_ADDRESS")
MESSAGE_LOCALES = words("MESSAGE_LOCALES", ["en", "zh-Hans"])
UTM_HOSTS = words("UTM_HOSTS", [])
INBOX_FRAMES = words("INBOX_FRAMES", [])
FEED_HOSTS = words("FEED_HOSTS", [])
COPY_URL = text("COPY_URL").rstrip("/")
COPY_KEY = text("COPY_KEY")
COPY_MODEL = text("COPY_MODEL")
COPY_SECONDS = number("COPY_SECONDS", 60)
COPY_TOKENS = number("COPY_TOKENS", 1500)
COPY_DAY_TOKENS = number("COPY_DAY_TOKENS", 200_000)
COPY_DAY_REQUESTS = number("COPY_DAY_REQUESTS", 100)
UTM_POLICY = text("UTM_POLICY", "keep")

STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000  # a rule of 200 questions, written in the builder

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = number("HSTS_SECONDS", 0)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("BEHIND_PROXY") else None
X_FRAME_OPTIONS = "SAMEORIGIN"

SILENCED_SYSTEM_CHECKS = ["models.W040"]

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "segments.api.schema.Described",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "DEFAULT_AUTHENTICATION_CLASSES": ["segments.api.auth.KeyAuthentication", "segments.api.auth.StaffSession"],
    "DEFAULT_PERMISSION_CLASSES": ["segments.api.auth.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["segments.api.auth.KeyThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "api": text("API_RATE", "1200/min"),
        "api_wrong_key": text("API_WRONG_KEYS", "60/min"),
        "person": text("PERSON_RATE", "60/min"),
    },
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["segments.api.parsing.CarefulJSON"],
    "DEFAULT_PAGINATION_CLASS": "segments.api.paging.Keyset",
    "DEFAULT_METADATA_CLASS": None,
}
_REFUSALS = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "429"]
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "segments.api.errors.Handler",
    "ALLOWED_ERROR_STATUS_CODES": _REFUSALS,
    "ERROR_SCHEMAS": dict.fromkeys(_REFUSALS, "segments.api.refusals.RefusalSerializer"),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Perennial",
    "VERSION": "1",
    "DESCRIPTION": "Segments, people, journeys, messages and reports for programs. Money is in minor units.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api",
}

QUEUE = VAR / "queue"
CELERY_BROKER_URL = text("CELERY_BROKER_URL", "filesystem://")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {}
if CELERY_BROKER_URL.startswith("filesystem"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"folder": str(QUEUE)}
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
elif CELERY_BROKER_URL.startswith(("redis", "rediss")):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 900,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    }
elif CELERY_BROKER_URL.startswith("amqp"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_WORKER_DETECT_QUORUM_QUEUES = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_PUBLISH_RETRY = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0.2, "interval_step": 0.3, "interval_max": 0.5}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ETA_TASK_LIMIT = 1000
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 8
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BEAT_SCHEDULER = "config.scheduler:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True

LOG_LEVEL = text("LOG_LEVEL", "INFO")
LOGGING = logging_config(LOG_LEVEL, json=flag("LOG_JSON"))
