"""Settings as in production, for `manage.py check --deploy`; the servers are those of the tests."""

import os

os.environ["DJANGO_SECRET_KEY"] = "k" * 20 + "".join(map(str, range(40)))
os.environ["DJANGO_HTTPS"] = "true"
os.environ["DJANGO_ALLOWED_HOSTS"] = "music.example"

from musicrec.test_settings import *  # noqa: F403
