"""Who may call what: every address and method, tried by everybody, with what must come of it.

The addresses come from the URL conf: one that is not in the table fails, so nothing goes live
without somebody having said who may call it.
"""

import copy
import re
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from django.apps import apps
from django.db import transaction
from django.urls import URLPattern, get_resolver
from rest_framework.test import APIClient

from recommendations.models import Hidden
from recommendations.tests.factories import (
    make_feedback,
    make_listener,
    make_token,
    make_track,
    make_user,
    service_client,
)

pytestmark = pytest.mark.django_db

DENIED_PAGE = {302, 401, 403, 404}  # a page sends somebody who is not logged in to log in


def ok(status):
    return status < 400 or status in (400, 409, 415, 422)  # let in; the body may be no good


def pages(status):
    return status in DENIED_PAGE


@dataclass(frozen=True)
class Rule:
    """What each caller gets: a status, or a check of it."""

    nobody: object
    listener: object
    other: object
    unscoped: object
    service: object
    other_service: object
    staff: object


PUBLIC = Rule(ok, ok, ok, ok, ok, ok, ok)
LISTENERS = Rule(401, ok, ok, 403, 403, 403, ok)
LISTENERS_AND_SERVICES = Rule(401, ok, ok, 403, ok, ok, ok)
OWN = Rule(401, ok, 404, 403, 403, 403, 404)
SERVICES = Rule(401, 403, 403, 403, ok, ok, 403)
OWN_OF_SERVICE = Rule(401, 403, 403, 403, ok, 404, 403)
REPORTS = Rule(401, 403, 403, 403, ok, ok, ok)
STAFF = Rule(pages, pages, pages, pages, pages, pages, ok)
STAFF_OBJECT = Rule(
    pages, pages, pages, pages, pages, pages, lambda status: status in (200, 302, 400, 404)
)
PROBE = Rule(*[lambda status: status in (200, 404, 503)] * 7)
LOGGED_IN_PAGE = Rule(302, ok, ok, 302, 302, 302, ok)
ANY_PAGE = Rule(*[lambda status: status < 500] * 7)
CLIENT = Rule(*[lambda status: status in (200, 503)] * 7)  # 503 where it was not built

# By method and route; "API" where DRF answers, and pages otherwise.
TABLE = {
    "POST auth/register": PUBLIC,
    "POST auth/token": Rule(*[lambda status: status in (400, 401)] * 7),
    "DELETE auth/token": LISTENERS,
    "POST preferences/set": LISTENERS_AND_SERVICES,
    "GET me/tokens": LISTENERS,
    "POST me/tokens": LISTENERS,
    "DELETE me/tokens/<int:pk>": OWN,
    "GET me": LISTENERS,
    "PATCH me": LISTENERS,
    "DELETE me": LISTENERS,
    "GET me/state": LISTENERS,
    "GET me/history": LISTENERS,
    "GET me/library": LISTENERS,
    "GET me/taste": LISTENERS,
    "GET me/statistics": LISTENERS,
    "GET me/hidden": LISTENERS,
    "POST me/hidden": LISTENERS,
    "DELETE me/hidden/<int:pk>": OWN,
    "GET me/export": LISTENERS,
    "POST me/import": LISTENERS,
    "GET me/imports": LISTENERS,
    "GET me/imports/<int:pk>": Rule(401, 404, 404, 403, 403, 403, 404),
    "POST recommend": LISTENERS_AND_SERVICES,
    "POST recommend/rows": LISTENERS_AND_SERVICES,
    "POST recommend/batch": SERVICES,
    "POST feedback": LISTENERS_AND_SERVICES,
    "POST feedback/bulk": SERVICES,
    "DELETE feedback/<id:event_id>": OWN,
    "PUT listeners": SERVICES,
    "GET listeners/<id:user_id>": OWN_OF_SERVICE,
    # Another service has a namespace of its own: it makes its own listener of that name.
    "PUT listeners/<id:user_id>": SERVICES,
    "DELETE listeners/<id:user_id>": OWN_OF_SERVICE,
    "GET tracks": PUBLIC,
    "PUT tracks": SERVICES,
    "GET tracks/<id:track_id>": PUBLIC,
    "PUT tracks/<id:track_id>": SERVICES,
    "GET tracks/<id:track_id>/similar": PUBLIC,
    "GET tracks/<id:track_id>/cover.svg": PUBLIC,
    "GET genres/<id:genre>/cover.svg": PUBLIC,
    "GET artists": PUBLIC,
    "GET artists/<int:artist_id>": PUBLIC,
    "GET genres": PUBLIC,
    "GET trending": PUBLIC,
    "GET latest": PUBLIC,
    "GET search": PUBLIC,
    "GET export/<str:what>": Rule(401, 403, 403, 403, ok, ok, 403),
    "GET ": PUBLIC,
    "GET schema": PUBLIC,
    "GET docs": PUBLIC,
    "GET livez": PROBE,
    "GET readyz": PROBE,
    "GET metrics": PROBE,
    "GET analytics/contextual-bandits": REPORTS,
    "GET analytics/ab-testing": REPORTS,
    "GET app/sw.js": ANY_PAGE,
    "GET app/": CLIENT,
    "GET app/<path:path>": CLIENT,
}
# Pages of accounts (signing in, passwords, second factor) hold only what is the visitor's own.
OPEN_PREFIXES = ("account/",)
# Staff's pages: nobody else sees any of them. Which member of staff does what: the roles' matrix.
STAFF_PREFIXES = ("analytics",)
# Held to account by their own tests: django-allauth's API, and the admin.
NOT_OURS = ("_allauth/", "admin/")


def routes(patterns=None, prefix=""):
    for entry in patterns if patterns is not None else get_resolver().url_patterns:
        route = prefix + str(entry.pattern)
        if route.startswith(NOT_OURS):
            continue
        if isinstance(entry, URLPattern):
            view = getattr(entry.callback, "cls", None) or getattr(
                entry.callback, "view_class", None
            )
            names = ("get", "post", "put", "patch", "delete")
            methods = [name for name in names if hasattr(view, name)] if view else ["get"]
            yield from (f"{name.upper()} {route}" for name in methods)
        else:
            yield from routes(entry.url_patterns, route)


ROUTES = sorted(set(routes()))


def rule_of(route):
    path = route.split(" ", 1)[1].removeprefix("^")
    if route in TABLE:
        return TABLE[route]
    if path.startswith(STAFF_PREFIXES):
        return STAFF_OBJECT
    return ANY_PAGE if path.startswith(OPEN_PREFIXES) else None


def test_every_address_says_who_may_call_it():
    assert [route for route in ROUTES if rule_of(route) is None] == []


@dataclass
class World:
    callers: dict
    listener: object
    objects: dict


@pytest.fixture
def world(settings):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 10_000)
    track = make_track(track_id="a", genres=["pop"])
    listener, other = make_listener(), make_listener()
    make_token(listener)
    make_token(other)
    staff = make_user(is_staff=True, is_superuser=True)
    make_listener(user=staff)  # else it comes with their first look at a page for listeners
    event = make_feedback(listener=listener, track=track, event_id="e1")
    hidden = Hidden.objects.create(listener=listener, artist=track.artist)
    full = service_client("full", scopes=["read", "write", "recommend", "analytics"])
    full.put("/listeners/mia", {})

    def logged_in(user):
        client = APIClient()
        client.force_login(user)
        return client

    return World(
        # The owner comes last: what it does to its own object must not help anybody before it.
        callers={
            "nobody": APIClient(),
            "unscoped": service_client("bare", scopes=[]),
            "other": logged_in(other.user),
            "staff": logged_in(staff),
            "other_service": service_client(
                "rival", scopes=["read", "write", "recommend", "analytics"]
            ),
            "service": full,
            "listener": logged_in(listener.user),
        },
        listener=listener,
        objects={
            "event_id": event.event_id,
            "pk": hidden.pk,
            "token": listener.user.apitoken_set.get().pk,
            "track_id": "a",
            "artist_id": track.artist_id,
            "user_id": "mia",
            "genre": "pop",
            "key": listener.uuid,
            "path": "x",
            "what": "tracks",
            "uidb36": "x",
        },
    )


BODIES = {
    "POST recommend/batch": {"user_ids": ["mia"]},
    "POST feedback/bulk": [{"user_id": "mia", "track_id": "a", "kind": "like"}],
    "PUT listeners": [{"user_id": "mia"}],
    "PUT tracks": [{"track_id": "b", "track_name": "B", "artist": "C"}],
    "PUT tracks/<id:track_id>": {"track_name": "B", "artist": "C"},
    "POST auth/register": {"email": "new@example.com", "password": "short"},
    "POST me/hidden": {"track_id": "a"},
}


def address(route, objects):
    # A pattern of django-allauth is a regular expression.
    path = re.sub(r"\(\?P<\w+>[^)]*\)", "x", route.split(" ", 1)[1]).strip("^$")
    for part in [part for part in path.split("/") if "<" in part]:
        name = part[part.index(":") + 1 : part.index(">")]
        value = objects["token"] if path.startswith("me/tokens") else objects.get(name, "x")
        path = path.replace(part[part.index("<") : part.index(">") + 1], str(value))
    return "/" + path


@contextmanager
def undone():
    """A block whose changes to the database do not last."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_each_caller_gets_what_the_table_says(world):
    wrong = {}
    for route in ROUTES:
        rule, method = rule_of(route), route.split(" ", 1)[0].lower()
        if rule is None:
            wrong[route] = "not in the table"
            continue
        for name, client in world.callers.items():
            client.raise_request_exception = False
            where, body = address(route, world.objects), BODIES.get(route, {})
            call = getattr(client, method)
            cookies = copy.deepcopy(client.cookies)
            with undone():
                answer = call(where) if method == "get" else call(where, body, format="json")
            client.cookies = cookies  # logging out is undone too
            wanted = getattr(rule, name)
            right = wanted(answer.status_code) if callable(wanted) else answer.status_code == wanted
            if not right:
                wrong[f"{route} as {name}"] = answer.status_code
    assert not wrong, "\n".join(f"{route}: {status}" for route, status in wrong.items())


def counts():
    # Sessions, a taste that is built when first read, the log of who looked at whom, and what
    # django-allauth writes of an email when its page is first seen.
    quiet = {"session", "usersession", "taste", "auditentry", "emailaddress"}
    return {
        model._meta.label: model.objects.count()
        for model in apps.get_models()
        if model._meta.model_name not in quiet and not model._meta.proxy and model._meta.managed
    }


def test_nothing_changes_by_reading(world):
    before, changed = counts(), []
    for route in ROUTES:
        if not route.startswith("GET "):
            continue
        for client in world.callers.values():
            client.raise_request_exception = False
            client.get(address(route, world.objects))
        now = counts()
        if now != before:
            changed.append((route, {name: n for name, n in now.items() if before[name] != n}))
            before = now
    assert not changed, "\n".join(f"{route}: {what}" for route, what in changed)
