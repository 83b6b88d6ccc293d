"""Settings of the commands that need neither database nor broker: ``evaluate``, ``cross_validate``.

They run on a fresh checkout, with nothing set and nothing started.
"""

import os
import secrets

os.environ.setdefault("DJANGO_SECRET_KEY", secrets.token_urlsafe(48))  # signs nothing
# Addresses that nothing connects to; without one, an embedded server would be started for it.
os.environ["DATABASE_URL"] = "postgres://nobody@127.0.0.1:1/none"
os.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"

from musicrec.settings import *  # noqa: F403 (the settings follow the environment)
