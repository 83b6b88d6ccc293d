"""Writes .env for ``docker compose``, with random secrets; what it holds already stays.

    python3 deploy/write_env.py [FILE]

Needs nothing but Python, and runs again without harm: only missing variables are added.
"""

import os
import secrets
import sys
from pathlib import Path

SECRETS = {
    "DJANGO_SECRET_KEY": 48,
    "POSTGRES_PASSWORD": 24,
    "REDIS_PASSWORD": 24,
    "MUSICREC_METRICS_TOKEN": 24,
}


def main() -> int:
    """Add the missing secrets to the file; it is readable by its owner alone."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / ".env"
    path.touch(mode=0o600)
    path.chmod(0o600)
    given = {
        line.partition("=")[0].strip()
        for line in path.read_text().splitlines()
        if line.partition("=")[2].strip() and not line.lstrip().startswith("#")
    }
    added = [name for name in SECRETS if name not in given]
    with path.open("a") as file:
        for name in added:
            # Letters, digits, - and _ only: they stand in URLs without quoting.
            file.write(f"{name}={secrets.token_urlsafe(SECRETS[name])}\n")
        os.fsync(file.fileno())
    print(f"{path}: " + (f"added {', '.join(added)}" if added else "nothing was missing"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
