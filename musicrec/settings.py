"""Settings; the environment makes the difference between a laptop and production.

Every variable is described in ``.env.example``.
"""

import logging
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF

from musicrec import logs
from musicrec.media import sources_of
from musicrec.production import refusals
from musicrec.schedule import SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")  # a laptop's file, written by `make run`; real variables win

DEBUG = env.bool("DJANGO_DEBUG", default=False)
SECRET_KEY = env.str("DJANGO_SECRET_KEY")  # no default: refuse to start without it
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=[])
HTTPS = env.bool("DJANGO_HTTPS", default=True)
PRODUCTION = env.bool("MUSICREC_PRODUCTION", default=False)  # the images set it
if PRODUCTION and (
    faults := refusals(
        secret_key=SECRET_KEY,
        debug=DEBUG,
        allowed_hosts=ALLOWED_HOSTS,
        database_url=env.str("DATABASE_URL", default=""),
        redis_url=env.str("REDIS_URL", default=""),
    )
):
    sys.exit("musicrec does not start in production like this:\n- " + "\n- ".join(faults))

# -- Where things are kept ---------------------------------------------------------------------

VAR_DIR = Path(env.str("MUSICREC_VAR", default=str(BASE_DIR / "var")))
MODELS_DIR = Path(env.str("MUSICREC_MODELS", default=str(VAR_DIR / "models")))
MODELS_URL = env.str("MUSICREC_MODELS_URL", default="")  # s3://bucket/prefix, or the folder itself


def _service_url(variable: str, name: str) -> str:
    """Return the URL in `variable`, or that of an embedded server started for it."""
    if url := env.str(variable, default=""):
        return url
    from musicrec import embedded

    try:
        if name == "postgres":
            durable = not env.bool("MUSICREC_THROW_AWAY", default=False)
            return embedded.start_postgres(VAR_DIR / name, durable=durable)
        return embedded.start_redis(VAR_DIR / name)
    except embedded.EmbeddedServerError as error:
        sys.exit(str(error))


DATABASE_URL = _service_url("DATABASE_URL", "postgres")
REDIS_URL = _service_url("REDIS_URL", "redis")

# A server that is gone without a word must not keep a request waiting: seconds, milliseconds.
_POSTGRES_TIMEOUTS = {"connect_timeout": 2, "tcp_user_timeout": 2000}


def _database(url: str) -> dict[str, Any]:
    database = env.db_url_config(url)
    database["OPTIONS"] = _POSTGRES_TIMEOUTS | database.get("OPTIONS", {})
    return database | {
        "ENGINE": "musicrec.postgres",
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        # A pooler that lends a connection for one transaction keeps no cursor and no statement.
        "DISABLE_SERVER_SIDE_CURSORS": env.bool("MUSICREC_DATABASE_POOLER", default=False),
    }


DATABASES = {"default": _database(DATABASE_URL)}
# A read replica for the pages of analytics, which may lag behind; unset, they read the primary.
if ANALYTICS_URL := env.str("ANALYTICS_DATABASE_URL", default=""):
    DATABASES["analytics"] = _database(ANALYTICS_URL) | {"TEST": {"MIRROR": "default"}}
DATABASE_ROUTERS = ["musicrec.replica.AnalyticsRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_REDIS_TIMEOUTS = {"socket_connect_timeout": 0.25, "socket_timeout": 0.5}

CACHES = {
    "default": {
        "BACKEND": "musicrec.cache.RedisOrLocalCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": _REDIS_TIMEOUTS,
    }
}

# -- Application -------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.headless",
    "allauth.usersessions",
    "corsheaders",
    "django_celery_beat",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "simple_history",
    "csp",
    "accounts",
    "experiments",
    "bandits",
    "recommendations",
]

MIDDLEWARE = [
    "musicrec.middleware.answer_probes",
    "musicrec.middleware.measure_requests",
    "django_structlog.middlewares.RequestMiddleware",
    "musicrec.middleware.DatabaseAway",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "musicrec.middleware.drop_cookies_with_nul",
    "musicrec.middleware.refuse_nul_in_addresses",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "musicrec.limits.tell_what_is_left",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.lead_whole_pages",
    "accounts.middleware.limit_sessions",
    "accounts.middleware.ask_staff_for_second_factor",
    "accounts.middleware.keep_private_answers_private",
    "allauth.account.middleware.AccountMiddleware",
    "musicrec.replica.read_analytics_from_replica",
    "simple_history.middleware.HistoryRequestMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "musicrec.urls"
WSGI_APPLICATION = "musicrec.wsgi.application"
APPEND_SLASH = True  # for the admin; the API's own paths carry no slash

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
            ],
        },
    }
]

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# -- Static files ------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("MUSICREC_STATIC", default=str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

# Names that carry a hash of the content: Vite gives one to the client's files, Django to the rest.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/(app/assets/.+|.+\.[0-9a-f]{12}\..+)$"

# -- Accounts and security ---------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "app"
LOGOUT_REDIRECT_URL = "home"
API_TOKEN_LIFETIME = timedelta(days=env.int("MUSICREC_TOKEN_DAYS", default=90))

ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
# With "mandatory", nobody gets in before they followed the link in the mail; then signing up
# answers the same for an email that has an account.  It needs mail that really goes out.
ACCOUNT_EMAIL_VERIFICATION = env.str("MUSICREC_EMAIL_VERIFICATION", default="optional")
ACCOUNT_MAX_EMAIL_ADDRESSES = 2  # the one there is, and one that is to take its place
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
HEADLESS_ADAPTER = "accounts.adapter.HeadlessAdapter"
HEADLESS_TOKEN_STRATEGY = "accounts.app_tokens.AppTokenStrategy"  # noqa: S105 (a class)
MFA_TOTP_ISSUER = "musicrec"
MFA_TOTP_TOLERANCE = 1  # a clock that is half a minute off
# Mail may go nowhere but the console: who has not verified an address may still be safer.
MFA_ALLOW_UNVERIFIED_EMAIL = True
# Staff reach the console and the admin only with a second factor.  On a laptop without TLS, where
# cookies are not secure either, a newcomer gets in with the password that `make run` shows.
STAFF_MFA = env.bool("MUSICREC_STAFF_MFA", default=HTTPS and not DEBUG)
SESSION_IDLE = timedelta(days=env.int("MUSICREC_SESSION_IDLE_DAYS", default=14))
SESSION_IDLE_STAFF = timedelta(hours=12)
SESSION_LONGEST = timedelta(days=env.int("MUSICREC_SESSION_DAYS", default=60))

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_AGE = int(SESSION_LONGEST.total_seconds())
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("DJANGO_BEHIND_PROXY", default=False) else None
)
# How many proxies of ours add to X-Forwarded-For; what a client wrote into it before counts for
# nothing, else it could have as many addresses as it likes, and a limit with each.
PROXIES = env.int("DJANGO_PROXIES", default=1 if SECURE_PROXY_SSL_HEADER else 0)
ALLAUTH_TRUSTED_PROXY_COUNT = PROXIES
CSRF_TRUSTED_ORIGINS = env.list("DJANGO_CSRF_TRUSTED_ORIGINS", default=[])
CSRF_FAILURE_VIEW = "musicrec.exceptions.csrf_failure"
# Other origins whose scripts may call the API, with tokens and never with a session's cookie.
CORS_ALLOWED_ORIGINS = env.list("DJANGO_CORS_ORIGINS", default=[])
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_HEADERS = ("accept", "authorization", "content-type", "idempotency-key", "if-none-match")
CORS_EXPOSE_HEADERS = ("etag", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id")
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# From where a browser loads the covers and previews that tracks name; the client asks no others.
MEDIA_HOSTS = env.list("MUSICREC_MEDIA_HOSTS", default=[])
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", *sources_of(MEDIA_HOSTS)],
        "media-src": [SELF, *sources_of(MEDIA_HOSTS)],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# -- Mail ---------------------------------------------------------------------------------------

# To the console unless a server is named: smtp+tls://user:password@host:587
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.str("MUSICREC_MAIL_FROM", default="musicrec@localhost")

# -- API ---------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.service_authentication.ServiceAuthentication",
        "accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.MayCall"],
    "DEFAULT_RENDERER_CLASSES": ["musicrec.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["musicrec.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "musicrec.schema.DescribedSchema",
    "NUM_PROXIES": PROXIES,
    "DEFAULT_THROTTLE_CLASSES": ["musicrec.limits.PerCaller"],
    "EXCEPTION_HANDLER": "musicrec.exceptions.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "musicrec",
    "DESCRIPTION": "A music recommender that learns from every response before the next request.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "PATH_CONVERTER_OVERRIDES": {"id": str},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "musicrec.schema.add_problem",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Requests a minute by scope of a view, for each listener or else each address; a service, which
# speaks for many listeners, has one limit for all of its calls.
RATE_LIMITS = {"default": 600, "accounts": 20, "services": 6000}

# -- Work queue --------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
# Machines that train together, host:port of each, the one with the queue ``training`` first; the
# others listen to ``training-1``, ``training-2`` and so on.
TRAINING_WORKERS = env.list("MUSICREC_TRAINING_WORKERS", default=[])
CELERY_TASK_ROUTES = {"recommendations.tasks.train_model": {"queue": "training"}}
# A task that died with its process is delivered again; each one here may run twice (see docs).
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_DB_REUSE_MAX = 1_000_000  # a connection is as old as CONN_MAX_AGE says; see celery.py
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Longer than the longest training, so that a running one is not delivered a second time.
    "visibility_timeout": int(timedelta(hours=6).total_seconds()),
} | _REDIS_TIMEOUTS
CELERY_TASK_PUBLISH_RETRY = False  # the outbox is swept; a request never waits for the broker
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_BEAT_SCHEDULE = SCHEDULE

# -- Recommendations ---------------------------------------------------------------------------

MUSICREC = {
    # Tracks heard within this delay are not recommended again.
    "REPEAT_DELAY": timedelta(days=env.int("MUSICREC_REPEAT_DELAY_DAYS", default=30)),
    "MAX_PER_ARTIST": env.int("MUSICREC_MAX_PER_ARTIST", default=2),
    # 0 ranks by score alone, 1 by dissimilarity to what is already on the list.
    "DIVERSITY": env.float("MUSICREC_DIVERSITY", default=0.15),
    "TRENDING_HALF_LIFE": timedelta(days=env.float("MUSICREC_TRENDING_HALF_LIFE_DAYS", default=7)),
    # Whether a list is on the database's disk before it is shown; a response always is.
    "DURABLE_SLATES": env.bool("MUSICREC_DURABLE_SLATES", default=False),
    # New feedback rows that start a training run between the nightly ones.
    "RETRAIN_AFTER": env.int("MUSICREC_RETRAIN_AFTER", default=5000),
    # What the catalogue, the model and the trend may lag behind the database, in seconds.
    "REFRESH_SECONDS": 1.0,
    # How often a web process writes how long its requests took, in seconds; 0 for never.
    "FLUSH_SECONDS": 5.0,
}

# -- What is fetched from elsewhere (imports by address, manage.py enrich_tracks) ---------------

IMPORT_PRIVATE = env.bool("MUSICREC_IMPORT_PRIVATE", default=False)
SPOTIFY_CLIENT_ID = env.str("SPOTIFY_CLIENT_ID", default="")
SPOTIFY_CLIENT_SECRET = env.str("SPOTIFY_CLIENT_SECRET", default="")
MUSICBRAINZ_CONTACT = env.str("MUSICBRAINZ_CONTACT", default="")

# -- Observing ---------------------------------------------------------------------------------

LOGGING = logs.logging_config(
    style=env.str("MUSICREC_LOG_FORMAT", default="plain"),
    level=env.str("MUSICREC_LOG_LEVEL", default="WARNING"),
)
logs.configure()
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # an address is personal data
DJANGO_STRUCTLOG_USER_ID_FIELD = ""  # it would cost a query; the listener is bound where known
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO
# Prometheus shows this at /metrics; without it nobody may look.
METRICS_TOKEN = env.str("MUSICREC_METRICS_TOKEN", default="")
TRACING = env.bool("MUSICREC_TRACING", default=False)
