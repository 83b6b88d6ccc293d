"""Settings for tests: a real Postgres and a real Redis of their own, under var/test."""

import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("DJANGO_SECRET_KEY", "a secret for tests only")
os.environ.setdefault("MUSICREC_VAR", str(_ROOT / "var" / "test"))
os.environ.setdefault("MUSICREC_THROW_AWAY", "true")
os.environ.setdefault("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1,testserver")
os.environ.setdefault("DJANGO_HTTPS", "false")

from musicrec.settings import *  # noqa: E402, F403
from musicrec.settings import CACHES, MUSICREC, REDIS_URL, STATIC_ROOT  # noqa: E402

# Each of pytest-xdist's processes has a Redis database of its own.
_NUMBER = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
REDIS_URL = f"{REDIS_URL.rsplit('/', 1)[0]}/{_NUMBER}"
CACHES["default"]["LOCATION"] = REDIS_URL
CELERY_BROKER_URL = REDIS_URL

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # else WhiteNoise warns in every test
MUSICREC["FLUSH_SECONDS"] = 0.0  # a thread would write beside the test's transaction
