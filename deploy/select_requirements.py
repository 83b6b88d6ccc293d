"""Prints requirements.txt without some packages, and without what only those need.

    python deploy/select_requirements.py requirements.txt --without tensorflow honcho

An image installs what it runs: web processes never import TensorFlow, and a container never starts
the embedded servers.  The lock says of every package which others want it (``# via``), so what is
left can be derived from it, and versions and hashes stay those of the one lock.
"""

import argparse
import re
import sys
from pathlib import Path

_NAME = re.compile(r"([a-z0-9][a-z0-9._-]*)(\[[^]]*\])?==")


def main() -> int:
    """Print the selection; 1 where a name is not in the lock."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lock", type=Path)
    parser.add_argument("--without", nargs="+", default=[], metavar="PACKAGE")
    options = parser.parse_args()
    entries = parse(options.lock.read_text())
    unknown = set(options.without) - {name for name, _, _ in entries}
    if unknown:
        print(f"{options.lock} does not name {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    print(select(entries, set(options.without)), end="")
    return 0


def parse(lock: str) -> list[tuple[str, str, set[str]]]:
    """Return each entry's name, its lines, and the names of those who want it.

    Raises:
        ValueError: an entry does not say who wants it.
    """
    entries = []
    for text in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]:
        match = _NAME.match(text)
        wanted_by = {
            line.removeprefix("# via").strip(" #").split(" ")[0].split("[")[0]
            for line in (part.strip() for part in text.splitlines())
            if line.startswith("#") and line != "# via"
        }
        if match is None or not wanted_by:
            raise ValueError(f"this is no entry of a lock with annotations: {text[:200]!r}")
        entries.append((match[1], text, wanted_by))
    return entries


def select(entries: list[tuple[str, str, set[str]]], dropped: set[str]) -> str:
    """Return the lines of the entries that are left when `dropped` and their own needs go."""
    while True:
        orphans = {name for name, _, wanted_by in entries if wanted_by <= dropped} - dropped
        if not orphans:
            return "".join(text for name, text, _ in entries if name not in dropped)
        dropped = dropped | orphans


if __name__ == "__main__":
    sys.exit(main())
