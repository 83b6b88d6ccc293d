"""Fetching a file by its address: from the public internet, and never from inside our own network.

Whoever may name an address could otherwise have this server ask what only it can reach: a cloud's
metadata, a database's port, a router.  So a name is resolved once, the address it has is checked,
and that very address is connected to; each redirect is treated alike (OWASP ASVS 5.0, 1.3.6).
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from django.conf import settings
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress

from musicrec.exceptions import RuleViolation
from recommendations.services.imports.reading import plain_name

TIMEOUT = (5.0, 10.0)
"""Seconds to connect, and between two pieces of an answer."""

MOST_REDIRECTS = 5
PIECE = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"

_one_at_a_time = threading.Lock()


class DownloadRefused(RuleViolation):
    """Nothing was fetched, or not all of it: the message says what the address answered."""

    code = "download_refused"


def is_address(text: str) -> bool:
    """Return whether `text` names something on a web server, not a file."""
    return text.lower().startswith(("http://", "https://"))


def download(address: str, folder: Path, *, most_bytes: int, seconds: float) -> Path:
    """Fetch a file into `folder` and return where it is.

    One download at a time and process, so that slow servers cannot hold all of its threads.  It is
    named after the address; what is gzip gets the ending ``.gz``, also where a server compressed
    it on the way.

    Args:
        address: http or https, without credentials.
        folder: an existing folder.
        most_bytes: of the file, as it comes over the network.
        seconds: for all of it.

    Raises:
        DownloadRefused: the address is not one of the public internet
            (`settings.IMPORT_PRIVATE` allows others), or did not give the file.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DownloadRefused("The address must begin with https:// or http:// and name a server.")
    if parts.username or parts.password:
        raise DownloadRefused("An address with a name or password in it is not asked.")
    if not _one_at_a_time.acquire(blocking=False):
        raise DownloadRefused("Another download is under way. Try again when it is done.")
    try:
        with _session() as session, session.get(address, stream=True) as response:
            if response.status_code != requests.codes.ok:
                raise DownloadRefused(f"{parts.hostname} answers {response.status_code}.")
            name = plain_name(unquote(urlsplit(response.url).path), default="download")
            return _save(response.raw, folder / name, most_bytes, time.monotonic() + seconds)
    except InvalidIPAddress as error:
        raise DownloadRefused(
            "The address leads into a private network, which is not asked "
            "(MUSICREC_IMPORT_PRIVATE allows it)."
        ) from error
    except requests.TooManyRedirects as error:
        raise DownloadRefused(f"{parts.hostname} redirects without end.") from error
    except urllib3.exceptions.ProtocolError as error:
        raise DownloadRefused("The file breaks off before its end.") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
        raise DownloadRefused(
            f"{parts.hostname} does not answer: {type(error).__name__}."
        ) from error
    except OSError as error:
        raise DownloadRefused(f"The file cannot be kept: {error.strerror}.") from error
    finally:
        _one_at_a_time.release()


def _session() -> HTTPSession:
    session = HTTPSession(
        Config(
            ip_filter_enable=not settings.IMPORT_PRIVATE,
            ip_filter_allow_loopback_ips=False,
            never_redirect=False,
            default_timeout=TIMEOUT,
            user_agent_override="musicrec",
        )
    )
    session.max_redirects = MOST_REDIRECTS
    session.trust_env = False  # neither a proxy, which would resolve names anew, nor a .netrc
    session.headers["Accept-Encoding"] = "identity"
    return session


def _save(raw: urllib3.HTTPResponse, path: Path, most_bytes: int, deadline: float) -> Path:
    size = 0
    first = b""
    with path.open("wb") as file:
        # What there is at once, not a whole piece: a server that drips must meet the deadline.
        while piece := raw.read1(PIECE, decode_content=False):
            size += len(piece)
            if size > most_bytes:
                raise DownloadRefused(f"The file has more than the {most_bytes:,} bytes allowed.")
            if time.monotonic() > deadline:
                raise DownloadRefused("The file did not come in time.")
            first = first or piece[: len(GZIP_MAGIC)]
            file.write(piece)
    if first == GZIP_MAGIC and path.suffix != ".gz":
        path = path.rename(path.with_name(f"{path.name}.gz"))
    return path
