"""The listener's client: the page that Vite built, at `/app/` and every address below it."""

from functools import lru_cache
from pathlib import Path

from csp.constants import NONCE, SELF
from csp.decorators import csp_update
from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

NONCE_PLACE = "__CSP_NONCE__"  # as in frontend/vite.config.ts
HOSTS_PLACE = "__MEDIA_HOSTS__"  # as in frontend/index.html


@require_safe
@never_cache
@ensure_csrf_cookie
@csp_update({"style-src": [SELF, NONCE]})  # type: ignore[arg-type]
def shell(request: HttpRequest, path: str = "") -> HttpResponse:
    """Answer the client's page; which screen it shows, the client reads from the address.

    The page itself is never kept, so that a new version is taken up at the next visit; what it
    loads carries a hash of its content in its name and is kept for ever.
    """
    page = _page(settings.BASE_DIR / "static" / "app" / "index.html")
    if page is None:
        return render(request, "client_missing.html", status=503)
    # Emotion writes its rules into style elements of its own: allowed by nonce, nothing else is.
    page = page.replace(NONCE_PLACE, str(request.csp_nonce))  # type: ignore[attr-defined]
    return HttpResponse(page.replace(HOSTS_PLACE, " ".join(settings.MEDIA_HOSTS)))


@require_safe
@never_cache
def service_worker(request: HttpRequest) -> HttpResponseBase:
    """Answer the service worker, from where it may look after the addresses below `/app/`."""
    path: Path = settings.BASE_DIR / "static" / "app" / "sw.js"
    if not path.is_file():
        return HttpResponse(status=404)
    return FileResponse(path.open("rb"), content_type="text/javascript")


def _page(path: Path) -> str | None:
    """Return the built page, read again only when it was built again; None without one."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=1)
def _read(path: Path, modified: int) -> str:
    return path.read_text(encoding="utf-8")
