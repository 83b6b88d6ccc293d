"""Whatever the description allows, or does not: no server error, and every answer as described.

Cases come from the OpenAPI description (schemathesis), for each role. A few in every run, 50,000
in `make test-slow`.  Half of them name what is there, so that they get past the first look-up; and
each is undone, so that no case logs the role out or takes away what the next one names.
"""

from dataclasses import dataclass

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.models import ApiToken
from bandits import live
from musicrec.wsgi import application
from recommendations.models import Hidden, HistoryImport
from recommendations.serving import state
from recommendations.tests.factories import (
    make_catalogue,
    make_feedback,
    make_listener,
    make_slate,
    make_token,
    make_user,
    service_client,
)

pytestmark = pytest.mark.django_db

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
ROLES = ("nobody", "listener", "service", "staff")
# Streams, pages and the description itself: not JSON, and tested by hand.
LEFT_OUT = ("/schema", "/docs", "/export/{what}")
# What a service sends for one of its listeners.
FOR_A_LISTENER = ("/feedback", "/preferences/set", "/recommend", "/recommend/rows")
SLOW_CASES = 50_000


@pytest.fixture
def one_connection():
    """Keep the test's connection, which every request would close as it would in a server."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@dataclass(frozen=True)
class Role:
    """What somebody shows, and what there is that they may name, by the name of its field."""

    headers: dict
    known: dict

    def name_what_is_there(self, case):
        """Put what is there into a case's path and body."""
        where = case.operation.path
        for name in case.path_parameters or ():
            # The ids of tokens, hidden tracks and imports are all called so.
            case.path_parameters[name] = self.known.get(f"{where} {name}", self.known.get(name, 1))
        rows = case.body if isinstance(case.body, list) else [case.body]
        for row in [row for row in rows if isinstance(row, dict)]:
            row.update({name: self.known[name] for name in row.keys() & self.known.keys()})
            if where in FOR_A_LISTENER:
                row["user_id"] = self.known["user_id"]
            if row.get("kind") != "rating":  # what the description cannot say of a response
                row.pop("rating", None)
            if row.get("kind") not in ("play", "skip"):
                row.pop("completion", None)


@pytest.fixture
def world(settings, one_connection):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 10**9)
    tracks = make_catalogue(12)
    staff = make_listener(user=make_user(is_staff=True, is_superuser=True))
    client = service_client("radio", scopes=["read", "write", "recommend", "analytics"])
    listeners = {
        "listener": make_listener(),
        "staff": staff,
        "service": make_listener(service=client.service, external_id="mia"),
    }
    of_service = {"Authorization": client._credentials["HTTP_AUTHORIZATION"]}

    def role(name, listener):
        make_feedback(listener=listener, track=tracks[0], event_id="e1", kind="hide")
        known = {
            "user_id": listener.key,
            "user_ids": [listener.key],
            "track_id": tracks[1].track_id,
            "artist_id": tracks[0].artist_id,
            "event_id": "e1",
            "recommendation_id": str(make_slate(listener=listener, tracks=tracks[:3]).pk),
            "what": "feedback",
            "/me/hidden/{id} id": Hidden.objects.by(listener).get().pk,
            "/me/imports/{id} id": HistoryImport.objects.create(listener=listener, content=b"").pk,
        }
        if name == "service":
            return Role(of_service, known)
        headers = {"Authorization": f"Bearer {make_token(listener)}"}
        token = ApiToken.objects.of(listener.user).get()
        return Role(headers, known | {"/me/tokens/{id} id": token.pk})

    roles = {name: role(name, listener) for name, listener in listeners.items()}
    return {**roles, "nobody": Role({}, roles["listener"].known)}


def operations():
    schema = schemathesis.openapi.from_wsgi("/schema?format=json", application)
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if operation.path not in LEFT_OUT]


def fuzz(role, n):
    found = {}
    for operation in operations():

        @hypothesis_settings(
            max_examples=n,
            deadline=None,
            database=None,
            derandomize=n < 10,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), is_there=st.booleans())
        def send(case, is_there):
            if is_there:
                role.name_what_is_there(case)
            with transaction.atomic():
                response = case.call(headers=role.headers)
                case.validate_response(response, checks=list(CHECKS))
                transaction.set_rollback(True)
            if case.method != "GET":  # the process has seen what is no more
                state.forget()
                live.forget()

        try:
            send()
        except (Exception, BaseExceptionGroup) as error:
            found[operation.label] = str(error)[:1500]
    return found


def told(found):
    return "\n".join(f"{name}: {error}" for name, error in found.items())


@pytest.mark.parametrize("role", ROLES)
def test_a_few_cases_of_every_operation(world, role):
    found = fuzz(world[role], 2)
    assert not found, told(found)
    if role != "nobody":  # else most cases would try nothing but the refusal of a stranger
        path = "/listeners/mia" if role == "service" else "/me"
        assert Client().get(path, headers=world[role].headers).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_many_cases_of_every_operation(world, role):
    n = SLOW_CASES // (len(ROLES) * len(operations())) + 1
    found = fuzz(world[role], n)
    assert not found, told(found)
