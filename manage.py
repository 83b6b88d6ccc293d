#!/usr/bin/env python
"""Django's command line."""

import os
import sys

OFFLINE = {"evaluate", "cross_validate"}
"""Commands that need neither database nor broker, and start none."""


def main() -> None:
    """Run a management command."""
    # The many small systems of a training are slower on several threads, which besides get in the
    # way of TensorFlow's own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    offline = len(sys.argv) > 1 and sys.argv[1] in OFFLINE
    settings = "musicrec.offline_settings" if offline else "musicrec.settings"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
