"""Prints every address that a browser may open, from the URL conf, as JSON.

Parameters are filled from the database; an address with one that nothing is known of is an error,
so that a new page is either opened by the tests or makes them fail.
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import django

django.setup()

from allauth.account.forms import default_token_generator  # noqa: E402
from allauth.account.models import EmailAddress, EmailConfirmationHMAC  # noqa: E402
from allauth.account.utils import user_pk_to_url_str  # noqa: E402
from django.apps import apps  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.urls import URLPattern, URLResolver, get_resolver  # noqa: E402
from django.utils.regex_helper import normalize  # noqa: E402

from accounts.models import Listener, User  # noqa: E402
from e2e.console.world import FORGETFUL  # noqa: E402
from experiments.models import Experiment  # noqa: E402
from recommendations.models import CatalogueUpload, Recommendation, Track  # noqa: E402

NO_PAGES = ("_allauth/",)
"""What only scripts call."""


def routes(
    patterns: list[URLPattern | URLResolver] | None = None, prefix: str = ""
) -> Iterator[tuple[str, list[str], URLPattern]]:
    """Yield each address with ``%(name)s`` for its parameters, their names, and its entry."""
    for entry in patterns if patterns is not None else get_resolver().url_patterns:
        regex = prefix + entry.pattern.regex.pattern.removeprefix("^")
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, regex)
            continue
        view = getattr(entry.callback, "cls", getattr(entry.callback, "view_class", None))
        address, names = normalize(regex)[0]
        if not address.startswith(NO_PAGES) and (view is None or hasattr(view, "get")):
            yield address, names, entry


def values() -> dict[str, dict[str, Any]]:
    """Return values of parameters by the name of an address, and those of all under ""."""
    track = Track.objects.select_related("artist").earliest("pk")
    listener = Listener.objects.filter(user=None).earliest("pk")
    forgetful = User.objects.get(email=FORGETFUL)
    address = EmailAddress.objects.get(user=forgetful)
    run_once = Experiment.objects.earliest("pk")
    return {
        "": {
            "track_id": track.track_id,
            "artist_id": track.artist_id,
            "genre": track.genres.earliest("pk").name,
            "user_id": listener.external_id,
            "what": "tracks",
            "path": "search",
            "url": "recommendations/nothing/",
            "app_label": "recommendations",
        },
        "account_confirm_email": {"key": EmailConfirmationHMAC.create(address).key},
        "account_reset_password_from_key": {
            "uidb36": user_pk_to_url_str(forgetful),
            "key": default_token_generator.make_token(forgetful),
        },
        "listener": {"key": listener.uuid},
        "slate": {"key": Recommendation.objects.earliest("pk").pk},
        "catalogue-import": {"pk": CatalogueUpload.objects.earliest("pk").pk},
        "api-me-import-detail": {"pk": 0},
        "view_on_site": {
            "content_type_id": ContentType.objects.get_for_model(Track).pk,
            "object_id": track.pk,
        },
        "auth_user_password_change": {"id": forgetful.pk},
        "experiments_experiment_act": {"pk": run_once.pk, "name": "start"},
    }


def of_the_admin(entry: URLPattern) -> dict[str, Any] | None:
    """Return the parameters of one of the admin's pages about a row; None where there is no row."""
    if history := re.fullmatch(r"([a-z]+)_([a-z]+)_simple_history", entry.name or ""):
        version = apps.get_model(*history.groups()).history.order_by("pk").first()
        return version and {"_0": version.instance.pk, "_1": version.pk}
    if hasattr(entry.callback, "model_admin"):
        row = entry.callback.model_admin.model._default_manager.order_by("pk").first()
        return row and {"object_id": row.pk}
    return {}


def addresses() -> Iterator[tuple[str, str | None]]:
    """Yield name and address; no address where there is no row to show."""
    known = values()
    for address, names, entry in routes():
        rows = of_the_admin(entry)
        name = entry.name or address
        if names and rows is None:
            yield name, None
            continue
        yield name, "/" + address % (known[""] | (rows or {}) | known.get(name, {}))


if __name__ == "__main__":
    json.dump(list(addresses()), sys.stdout)
