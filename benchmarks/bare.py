"""The application with two bare reads of its database beside, to compare a list with.

``/bare/view`` reads one row as a view of the application: behind its middleware, its tokens and its
limits.  ``/bare`` reads it over the same persistent connection, in the same process, without any of
that: what a request costs at the very least.  Every other address is musicrec's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from musicrec.wsgi import application as musicrec

settings.ROOT_URLCONF = "benchmarks.bare_urls"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer."""
    if environ["PATH_INFO"] != "/bare":
        return musicrec(environ, start_response)
    from benchmarks.bare_urls import read_one

    body = json.dumps(read_one()).encode()
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]
