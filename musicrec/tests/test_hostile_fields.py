"""The hand-made set of hostile values, in every field of every request of the description."""

import itertools
import json

import pytest

from musicrec.examples import REQUESTS
from musicrec.tests.test_hostile_input import VALUES
from recommendations.tests.factories import (
    make_catalogue,
    make_listener,
    make_token,
    make_track,
    service_client,
)

pytestmark = pytest.mark.django_db

FOR_SERVICES = ("/tracks", "/listeners", "/feedback/bulk", "/recommend/batch")
NAMES = [name for name in REQUESTS if name not in ("DELETE /me", "POST /me/import")]


def fields_of(body, path=()):
    """Every place of a body where a value stands, containers included."""
    if path:
        yield path
    items = ()
    if isinstance(body, (dict, list)):
        items = body.items() if isinstance(body, dict) else enumerate(body)
    for key, value in items:
        yield from fields_of(value, (*path, key))


def with_value(body, path, text):
    """The body as JSON with one value replaced by a text that JSON's encoder would refuse."""
    mark = "@@@"
    changed = json.loads(json.dumps(body))
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = mark
    return json.dumps(changed).replace(f'"{mark}"', text).encode()


@pytest.fixture
def clients(settings):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 10**9)
    make_track(track_id="track_123")
    make_catalogue(5)
    listener = make_listener()
    service = service_client("radio")
    service.put("/listeners", [{"user_id": "mia"}])
    return {
        False: {"HTTP_AUTHORIZATION": f"Bearer {make_token(listener)}"},
        True: dict(service._credentials),
    }


def send_all(client, clients, name, values):
    method, path = name.split()
    path = path.replace("{track_id}", "track_123").replace("{user_id}", "mia")
    headers = clients[path.startswith(FOR_SERVICES)]
    client.raise_request_exception = False
    failed = {}
    for field in fields_of(REQUESTS[name]):
        for told in values(field):
            body = with_value(REQUESTS[name], field, VALUES[told])
            answer = client.generic(method, path, body, content_type="application/json", **headers)
            if answer.status_code >= 500:
                failed[f"{'.'.join(map(str, field))}: {told}"] = answer.status_code
    return failed


@pytest.mark.parametrize("name", NAMES)
def test_no_hostile_value_is_a_server_error(client, clients, name):
    turn = itertools.cycle(VALUES)  # each field meets three of them, together all
    assert send_all(client, clients, name, lambda field: itertools.islice(turn, 3)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_value_in_any_field_is_a_server_error(client, clients, name):
    assert send_all(client, clients, name, lambda field: VALUES) == {}
