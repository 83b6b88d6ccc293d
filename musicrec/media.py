"""Where covers and previews may come from, that the catalogue only names."""

import re
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

_HOST = re.compile(r"(\*\.)?([a-z0-9-]+\.)+[a-z0-9-]+(:\d+)?")


def sources_of(hosts: Sequence[str]) -> list[str]:
    """Return hosts as sources of a content security policy, by HTTPS alone.

    Args:
        hosts: such as ``i.scdn.co``; ``*.example`` stands for every host below ``example``.

    Raises:
        ImproperlyConfigured: one is no host. Whatever else it is would be written into the policy.
    """
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ImproperlyConfigured(
                f"MUSICREC_MEDIA_HOSTS takes names of hosts with commas between, not {host!r}"
            )
    return [f"https://{host}" for host in hosts]
