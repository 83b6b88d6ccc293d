"""The API's description: complete, the same every time, and its examples true."""

import io
import json
import re

import pytest
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from musicrec.examples import REQUESTS
from recommendations.tests.factories import make_catalogue, make_track, service_client

WITH_BODY = {"post", "put", "patch"}


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(public=True)


def operations(schema):
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_description_is_the_same_every_time(schema):
    again = SchemaGenerator().get_schema(public=True)
    assert json.dumps(schema, default=str) == json.dumps(again, default=str)


def test_every_operation_says_what_it_does_and_who_may_call(schema):
    silent = [
        name for name, operation in operations(schema)
        if not re.match(r"(?s).{15,}\*\*Who may call:\*\* .+\.", operation["description"])
        or "whoever" in operation["description"]
    ]  # fmt: skip
    assert silent == []


def test_every_request_and_every_error_has_an_example(schema):
    bare = []
    for name, operation in operations(schema):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if not content.get("examples"):
                bare.append(f"{name} {kind}")
        for status, answer in operation["responses"].items():
            contents = answer.get("content", {}).values() if int(status) >= 400 else []
            bare += [f"{name} {status}" for content in contents if not content.get("examples")]
        assert {"400", "401", "403", "404", "429"} <= operation["responses"].keys(), name
    assert bare == []


def test_no_example_is_of_an_operation_that_is_not_there(schema):
    names = {name for name, _ in operations(schema)}
    planned = {"DELETE /me", "POST /me/import"}
    assert REQUESTS.keys() - names - planned == set()


@pytest.mark.django_db
def test_the_page_of_the_description_is_our_own(client):
    page = client.get("/docs")
    text = page.content.decode()
    assert page.status_code == 200
    assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]+', text) == []
    assert client.get("/schema").status_code == 200


@pytest.fixture
def world(db):
    make_track(track_id="track_123", name="Hyperballad", artist="Björk", genres=["pop"])
    make_catalogue(20)


@pytest.mark.parametrize("name", [
    name for name in REQUESTS
    if name.split("/")[1] in ("recommend", "feedback", "tracks", "listeners")
])  # fmt: skip
def test_a_service_can_send_the_example(world, name):
    service = service_client("radio")
    service.put("/listeners", [{"user_id": "mia"}, {"user_id": "ole"}])
    method, path = name.split()
    path = path.replace("{track_id}", "track_123").replace("{user_id}", "mia")
    body = REQUESTS[name]
    if path in ("/recommend", "/recommend/rows", "/feedback"):
        body = body | {"user_id": "mia"}
    answer = getattr(service, method.lower())(path, body)
    assert answer.status_code in (200, 201), answer.content


def test_a_listener_can_send_the_examples(world):
    api = APIClient()
    token = api.post("/auth/register", REQUESTS["POST /auth/register"]).json()["token"]
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    names = ("POST /preferences/set", "POST /recommend", "POST /feedback", "POST /me/tokens",
             "POST /me/hidden", "PATCH /me")  # fmt: skip
    for name in names:
        method, path = name.split()
        answer = getattr(api, method.lower())(path, REQUESTS[name])
        assert answer.status_code in (200, 201), (name, answer.content)


def curls(page):
    """The calls that a page shows: path, and what is sent."""
    text = (settings.BASE_DIR / page).read_text()
    return re.findall(r"curl -s \$API(/\S+)[^']*?-d '([^']*)'", text)


def test_the_calls_of_the_readme_work_as_they_stand(world):
    api = APIClient()
    found = curls("README.md")
    paths = [path for path, _ in found]
    assert paths[:3] == ["/auth/register", "/preferences/set", "/recommend"]
    assert "/feedback" in paths
    shown = None
    for path, text in found:
        body = json.loads(text)
        if path == "/feedback":  # the ids are those of another installation
            body["recommendation_id"] = shown["recommendation_id"]
            body["track_id"] = shown["recommendations"][0]["track_id"]
        answer = api.post(path, body)
        assert answer.status_code in (200, 201), (path, answer.content)
        if path == "/auth/register":
            api.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['token']}")
        if path == "/recommend":
            shown = answer.json()


def test_the_python_client_of_the_docs_works_as_it_stands(world, monkeypatch, capsys):
    service = service_client("radio")
    key = service._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")

    def urlopen(request):
        """Hand a request of the standard library to the application."""
        answer = APIClient().generic(
            request.get_method(),
            request.full_url.removeprefix("http://127.0.0.1:8000"),
            request.data or b"",
            headers={name.lower(): value for name, value in request.header_items()},
            content_type=request.get_header("Content-type"),
        )
        assert answer.status_code < 300, answer.content
        return io.BytesIO(answer.content)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    page = (settings.BASE_DIR / "docs" / "api.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert '"ms_..."' in block
    program = compile(block.replace("ms_...", key), "docs/api.md", "exec")
    exec(program, {})  # noqa: S102 (our own page)
    refused, *items = capsys.readouterr().out.splitlines()
    assert refused == "[]"
    assert len(items) == 10
    assert all(" – " in item for item in items)


def unbounded(name, part, components):
    """The places below a schema where a number or a text has no end."""
    if "$ref" in part:
        yield from unbounded(name, components[part["$ref"].rsplit("/", 1)[1]], components)
        return
    for choice in ("allOf", "oneOf", "anyOf"):
        for one in part.get(choice, ()):
            yield from unbounded(name, one, components)
    for key, value in part.get("properties", {}).items():
        yield from unbounded(f"{name}.{key}", value, components)
    if "items" in part:
        if "maxItems" not in part:
            yield f"{name}[]"
        yield from unbounded(f"{name}[]", part["items"], components)
    kind = part.get("type")
    if "enum" in part or part.get("format") in ("uuid", "date-time", "binary", "date"):
        return
    if kind == "string" and "maxLength" not in part:
        yield name
    if kind in ("integer", "number") and not {"minimum", "maximum"} <= part.keys():
        yield name


def test_every_number_text_and_list_that_is_sent_has_an_end(schema):
    components = schema["components"]["schemas"]
    found = []
    for name, operation in operations(schema):
        query = [one for one in operation.get("parameters", ()) if one["in"] != "path"]
        for parameter in query:
            found += unbounded(f"{name} {parameter['name']}", parameter["schema"], components)
        for content in operation.get("requestBody", {}).get("content", {}).values():
            found += unbounded(name, content["schema"], components)
    # How many rows a body may have that is a list of them stands in words.
    found = [place for place in found if place not in ("PUT /listeners[]", "PUT /tracks[]")]
    assert not found, "\n".join(found)
