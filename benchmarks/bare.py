"""The application beside a bare read of the same database: what a request costs at the very least.

``/bare`` reads one row by its key over the same persistent connection, in the same process, without
middleware, authentication or anything else; every other address is musicrec's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from musicrec.wsgi import application as musicrec


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer."""
    if environ["PATH_INFO"] != "/bare":
        return musicrec(environ, start_response)
    from recommendations.models import Track

    track = Track.objects.order_by("pk").values("track_id", "name").first()
    body = json.dumps(track).encode()
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]
