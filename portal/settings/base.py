"""What every way of running Callboard shares. Values come from environment variables (docs/operators/settings.md)."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import environ

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parents[2]
DATA_DIR = Path(env.str("CALLBOARD_DATA_DIR", str(BASE_DIR / "data"))).resolve()

# --- people and places
CALLBOARD_TITLE = env.str("CALLBOARD_TITLE", "Callboard")
CALLBOARD_BASE_URL = env.str("CALLBOARD_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list("CALLBOARD_ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CALLBOARD_TRUSTED_ORIGINS", default=[])
DEBUG = False
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
ASGI_APPLICATION = "portal.asgi.application"
APPEND_SLASH = True

INSTALLED_APPS = [
    "portal.web",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "portal.web.apps.AdminConfig",
    "allauth",
    "allauth.account",
    "guardian",
    "import_export",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "portal.observability",
    "portal.plugins",
    "portal.audit",
    "portal.access",
    "portal.events",
    "portal.jobs",
    "portal.connections",
    "catalog",
]
# The packages of plugins are Django apps as well, so that their templates, static files and models are found.
for _entry in entry_points(group="callboard.plugins"):
    _package = _entry.module.partition(".")[0]
    if _package not in INSTALLED_APPS:
        try:
            import_module(_package)
        except Exception:  # noqa: BLE001, S112  (a third party's defect; portal.plugins.loading says it)
            continue
        INSTALLED_APPS.append(_package)

# The order matters: the request id exists before anything may log, the access scope after the person is known.
MIDDLEWARE = [
    "portal.observability.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portal.web.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.access.middleware.AccessMiddleware",
    "portal.web.middleware.PageMiddleware",
]
CSRF_FAILURE_VIEW = "portal.web.views.errors.csrf_failure"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.web.context.shell",
            ],
            "builtins": ["portal.web.templatetags.callboard"],
        },
    }
]

# --- database: a file below the data folder, or whatever DATABASE_URL names
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
        "PRAGMA cache_size=-32000; PRAGMA mmap_size=268435456; PRAGMA temp_store=MEMORY;"
    ),
}
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'callboard.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("CALLBOARD_DB_CONN_MAX_AGE", 600)
    DATABASES["default"]["OPTIONS"] = {"prepare_threshold": 5, "connect_timeout": 5}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Where an index holds further columns so that it can answer alone, SQLite leaves them out and reads the table.
SILENCED_SYSTEM_CHECKS = ["models.W040"]

# --- cache: Redis where there is one, else the memory of each process (nothing correct depends on it)
REDIS_URL = env.str("REDIS_URL", "")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# --- workers: the Job row is the truth, these messages are doorbells (DESIGN, Jobs)
CELERY_BROKER_URL = REDIS_URL or "filesystem://"
CELERY_BROKER_TRANSPORT = None if REDIS_URL else "portal.jobs.broker:Transport"
BROKER_DIR = DATA_DIR / "broker"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if REDIS_URL
    else {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "control_folder": str(BROKER_DIR / "control"),
        "store_processed": False,
        "polling_interval": 0.2,
    }
)
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "callboard"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_TASK_PUBLISH_RETRY = False
# Seconds without a sign of life after which a job goes to another worker; three times the longest write at least.
CALLBOARD_JOB_LEASE = env.int("CALLBOARD_JOB_LEASE", 90)

# --- access
AUTH_USER_MODEL = "access.User"
AUTHENTICATION_BACKENDS = [
    "portal.access.backends.Backend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "web:home"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "portal.access.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key"}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# A read of a restricted model inside a request that did not go through visible_to() is an error, not a log line.
CALLBOARD_STRICT_ACCESS = env.bool("CALLBOARD_STRICT_ACCESS", True)

# --- API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "portal.access.api.authentication.TokenAuthentication",
        "portal.access.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["portal.access.api.permissions.SignedIn"],
    "DEFAULT_RENDERER_CLASSES": ["portal.access.api.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "portal.access.api.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": [],
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Callboard API",
    "DESCRIPTION": "The software catalog and everything beside it. Stock Backstage paths live below /api/catalog.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["portal.access.api.permissions.SignedIn"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {},
}

# --- reading from outside
CALLBOARD_FILE_ROOTS = [Path(p).resolve() for p in env.list("CALLBOARD_FILE_ROOTS", default=[])]
CALLBOARD_EGRESS_ALLOW = env.list("CALLBOARD_EGRESS_ALLOW", default=[])
# --- lifecycle: how long removed entities can come back, how long past versions are kept, and which removals of one
# sync wait for a person
CALLBOARD_TOMBSTONE_DAYS = env.int("CALLBOARD_TOMBSTONE_DAYS", 30)
CALLBOARD_HISTORY_DAYS = env.int("CALLBOARD_HISTORY_DAYS", 365)
CALLBOARD_REMOVAL_LEAST = env.int("CALLBOARD_REMOVAL_LEAST", 20)
CALLBOARD_REMOVAL_SHARE = env.float("CALLBOARD_REMOVAL_SHARE", 0.3)
# --- freshness: days without a confirmation after which something is stale; kinds with a time of their own
CALLBOARD_STALE_AFTER = env.float("CALLBOARD_STALE_AFTER", 7.0)
CALLBOARD_STATIC_KINDS = {
    kind.strip().lower(): float(days)
    for kind, _, days in (
        item.partition("=")
        for item in env.list("CALLBOARD_STATIC_KINDS", default=["domain=180", "system=180"])
    )
}
# --- webhooks of Git hosts: how long deliveries are kept, and the largest one that is taken
CALLBOARD_HOOK_DAYS = env.int("CALLBOARD_HOOK_DAYS", 30)
CALLBOARD_HOOK_MAX_BYTES = env.int("CALLBOARD_HOOK_MAX_BYTES", 10 * 1024 * 1024)
# --- change feed: how long events are kept, and event streams that one process holds open
CALLBOARD_EVENT_DAYS = env.int("CALLBOARD_EVENT_DAYS", 30)
CALLBOARD_EVENT_STREAMS = env.int("CALLBOARD_EVENT_STREAMS", 200)
CALLBOARD_MAX_FILE_BYTES = env.int("CALLBOARD_MAX_FILE_BYTES", 10 * 1024 * 1024)
# Where references to credentials lead (portal.connections.credentials).
CALLBOARD_CREDENTIAL_DIR = Path(env.str("CALLBOARD_CREDENTIAL_DIR", "/run/secrets"))
CALLBOARD_VAULT_URL = env.str("CALLBOARD_VAULT_URL", "")
CALLBOARD_VAULT_TOKEN_FILE = env.str("CALLBOARD_VAULT_TOKEN_FILE", "")
CALLBOARD_VAULT_NAMESPACE = env.str("CALLBOARD_VAULT_NAMESPACE", "")
# A file that lists sources and allow rules (docs/admins/sources.md).
CALLBOARD_SOURCES = env.str("CALLBOARD_SOURCES", "")
CALLBOARD_SYNC_INTERVAL = env.int("CALLBOARD_SYNC_INTERVAL", 300)

# --- audit: how long records are kept (0: for ever), and a folder for copies of signed checkpoints
CALLBOARD_AUDIT_DAYS = env.int("CALLBOARD_AUDIT_DAYS", 0)
_checkpoints = env.str("CALLBOARD_AUDIT_CHECKPOINTS", "")
CALLBOARD_AUDIT_CHECKPOINTS = Path(_checkpoints).resolve() if _checkpoints else None

# --- secrets
SECRET_KEY = env.str("CALLBOARD_SECRET_KEY", "")
CALLBOARD_KEYS = env.list("CALLBOARD_KEYS", default=[])
CALLBOARD_METRICS_TOKEN = env.str("CALLBOARD_METRICS_TOKEN", "")

# --- files
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("CALLBOARD_STATIC_ROOT", str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR / "files")},
    },
    "blobs": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR / "blobs")},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- browsers
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "callboard_session"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000

# --- time and language
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True

# --- admin: the look lives in portal.web.admin
UNFOLD = {
    "SITE_TITLE": "Callboard admin",
    "SITE_HEADER": "Callboard",
    "SITE_SUBHEADER": "Curate the catalog",
    "SITE_URL": "/",
    "SITE_SYMBOL": "dashboard",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "portal.web.admin.navigation",
    },
    "BORDER_RADIUS": "6px",
}

# Exports: what a spreadsheet would run as a formula becomes text; the audit record replaces the admin's own log.
IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True
IMPORT_EXPORT_SKIP_ADMIN_LOG = True

# --- logs: one JSON line each, with the request id (portal.observability)
CALLBOARD_LOG_FORMAT = env.str("CALLBOARD_LOG_FORMAT", "json")
CALLBOARD_LOG_LEVEL = env.str("CALLBOARD_LOG_LEVEL", "INFO")
LOGGING_CONFIG = "portal.observability.logs.configure"
LOGGING = {"format": CALLBOARD_LOG_FORMAT, "level": CALLBOARD_LOG_LEVEL}
