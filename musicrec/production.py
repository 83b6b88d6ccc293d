"""What a deployment must not look like."""

from collections.abc import Sequence

MIN_SECRET = 40
"""Characters of a secret; `deploy/write_env.py` makes 64."""

MIN_DISTINCT = 12
"""Different characters in it: fewer is a pattern, not chance."""

PLACEHOLDERS = ("django-insecure", "change", "secret", "build", "example", "default", "test")


def refusals(
    *,
    secret_key: str,
    debug: bool,
    allowed_hosts: Sequence[str],
    database_url: str,
    redis_url: str,
) -> list[str]:
    """Return why these settings must not serve in production; empty where they may."""
    faults = []
    guessable = len(secret_key) < MIN_SECRET or len(set(secret_key)) < MIN_DISTINCT
    if guessable or secret_key.lower().startswith(PLACEHOLDERS):
        faults.append(
            f"DJANGO_SECRET_KEY is short, a pattern or a placeholder; {MIN_SECRET} random "
            "characters are needed (python3 deploy/write_env.py makes them)"
        )
    if debug:
        faults.append("DJANGO_DEBUG shows the program's inside to everybody")
    if not allowed_hosts:
        faults.append("DJANGO_ALLOWED_HOSTS names no host, so nothing could be served")
    elif "*" in allowed_hosts:
        faults.append("DJANGO_ALLOWED_HOSTS is *, so any forged Host would be believed")
    for name, url in (("DATABASE_URL", database_url), ("REDIS_URL", redis_url)):
        if not url:
            faults.append(f"{name} is not set, and the embedded servers are for development")
    return faults
