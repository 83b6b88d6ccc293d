"""Whatever the description allows, or does not: no server error, and every answer as described.

Cases come from the OpenAPI description (schemathesis), for each role. A few in every run, 50,000
in `make test-slow`.
"""

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from musicrec.wsgi import application
from recommendations.tests.factories import (
    make_catalogue,
    make_feedback,
    make_listener,
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
SLOW_CASES = 50_000


@pytest.fixture
def one_connection():
    """Keep the test's connection, which every request would close as it would in a server."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def world(settings, one_connection):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 10**9)
    tracks = make_catalogue(12)
    listener = make_listener()
    make_feedback(listener=listener, track=tracks[0])
    staff = make_listener(user=make_user(is_staff=True, is_superuser=True))
    service = service_client("radio", scopes=["read", "write", "recommend", "analytics"])
    return {
        "nobody": {},
        "listener": {"Authorization": f"Bearer {make_token(listener)}"},
        "staff": {"Authorization": f"Bearer {make_token(staff)}"},
        "service": {"Authorization": service._credentials["HTTP_AUTHORIZATION"]},
    }


def operations():
    schema = schemathesis.openapi.from_wsgi("/schema?format=json", application)
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if operation.path not in LEFT_OUT]


def fuzz(headers, n):
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
        @given(case=operation.as_strategy())
        def send(case):
            response = case.call(headers=headers)
            case.validate_response(response, checks=list(CHECKS))

        try:
            send()
        except (Exception, BaseExceptionGroup) as error:
            found[operation.label] = str(error)[:1500]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_a_few_cases_of_every_operation(world, role):
    found = fuzz(world[role], 2)
    assert not found, "\n".join(f"{name}: {error}" for name, error in found.items())


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_many_cases_of_every_operation(world, role):
    n = SLOW_CASES // (len(ROLES) * len(operations())) + 1
    assert fuzz(world[role], n) == {}
