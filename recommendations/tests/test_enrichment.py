"""Against a local server that gives the answers the two providers document."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from urllib3.util import retry

from recommendations.models import ServingState, Track, TrackLookup
from recommendations.services.enrichment import applying, asking
from recommendations.services.enrichment.asking import ProviderRefuses
from recommendations.services.enrichment.musicbrainz import MusicBrainz
from recommendations.services.enrichment.spotify import Spotify
from recommendations.tests.factories import make_track

SPOTIFY_TRACK = {
    "id": "2nTsKOXIVGDf2iPeVQO2Gm",
    "name": "Hyperballad - 2015 Remaster",
    "type": "track",
    "duration_ms": 321_826,
    "artists": [{"id": "7w29UYBi0qsHi5RTcv3lmA", "name": "Björk"}],
    "album": {
        "id": "3icT9XGrBfhlV8BKK4WEGX",
        "name": "Post",
        "release_date": "1995-06-13",
        "release_date_precision": "day",
        "images": [
            {"url": "https://i.scdn.co/image/wide", "height": 1200, "width": 1200},
            {"url": "https://i.scdn.co/image/640", "height": 640, "width": 640},
        ],
    },
    "external_ids": {"isrc": "GBAYE9500095"},
    "preview_url": None,
    "popularity": 55,
}
MBID = "6d9ab5fd-5f0a-4b8a-9d1c-08d3d0d1b6ff"
MB_RECORDING = {
    "id": MBID,
    "title": "Hyper-Ballad",
    "length": 321_000,
    "first-release-date": "1995-06-07",
    "artist-credit": [{"name": "Björk", "artist": {"id": "87c5dedd", "name": "Björk"}}],
    "isrcs": ["GBAYE9500095"],
    "genres": [{"name": "Electronic", "count": 3}, {"name": "art pop", "count": 9}],
    "releases": [
        {"id": "late", "title": "Greatest Hits", "date": "2002"},
        {"id": "early", "title": "Post", "date": "1995-06-07"},
    ],
}
COVER = {
    "images": [
        {"front": False, "image": "http://coverartarchive.org/release/early/2.jpg"},
        {
            "front": True,
            "image": "http://coverartarchive.org/release/early/1.jpg",
            "thumbnails": {"500": "http://coverartarchive.org/release/early/1-500.jpg"},
        },
    ]
}


class Service:
    """The documented answers, and every question that was asked."""

    def __init__(self):
        self.asked = []
        self.refusals = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                service.answer(self)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        parts = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length).decode()
        self.asked.append((parts.path, query, dict(request.headers), body))
        if self.refusals:
            status, headers = self.refusals.pop(0)
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        found = self.find(parts.path, query)
        text = json.dumps(found if found is not None else {"error": {"status": 404}}).encode()
        request.send_response(200 if found is not None else 404)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def find(self, path, query):
        if path == "/api/token":
            return {"access_token": "secret-token", "token_type": "Bearer", "expires_in": 3600}
        if path == "/v1/search":
            is_ours = "Hyperballad" in query["q"] or "GBAYE9500095" in query["q"]
            return {"tracks": {"items": [SPOTIFY_TRACK] if is_ours else [], "total": 1}}
        if path == f"/v1/tracks/{SPOTIFY_TRACK['id']}":
            return SPOTIFY_TRACK
        if path == "/v1/artists/7w29UYBi0qsHi5RTcv3lmA":
            return {"id": "7w29UYBi0qsHi5RTcv3lmA", "genres": ["art pop", "electronica"]}
        if path == "/ws/2/recording":
            recording = {k: MB_RECORDING[k] for k in ("id", "title", "length", "artist-credit")}
            return {"count": 1, "recordings": [recording | {"score": 100}]}
        if path == f"/ws/2/recording/{MBID}":
            return MB_RECORDING
        return COVER if path == "/release/early" else None

    @property
    def paths(self):
        return [path for path, *_ in self.asked]


@pytest.fixture
def service():
    service = Service()
    yield service
    service.server.shutdown()
    service.server.server_close()


@pytest.fixture
def spotify(service):
    return Spotify(
        "id", "secret", api=f"{service.url}/v1", tokens=f"{service.url}/api/token", pause=0
    )


@pytest.fixture
def musicbrainz(service):
    return MusicBrainz("ops@example.org", api=f"{service.url}/ws/2", covers=service.url, pause=0)


@pytest.fixture
def waits(monkeypatch):
    """What was waited for, without waiting."""
    waits = []
    monkeypatch.setattr(retry.time, "sleep", waits.append)
    return waits


def hyperballad(**fields):
    return make_track(**{"name": "Hyperballad", "artist": "Björk", "duration_ms": 322_000} | fields)


@pytest.mark.django_db
def test_spotify_fills_in_what_a_track_lacks(spotify, service):
    track = hyperballad()
    done = applying.enrich(spotify, [track.pk])
    track.refresh_from_db()
    assert (done.found, done.filled, done.stopped) == (1, 1, "")
    assert track.spotify_id == "2nTsKOXIVGDf2iPeVQO2Gm"
    assert track.isrc == "GBAYE9500095"
    assert track.year == 1995
    assert track.cover_url == "https://i.scdn.co/image/640"
    assert sorted(track.genres.values_list("name", flat=True)) == ["art pop", "electronica"]
    assert ServingState.objects.get().catalogue_version == 1
    _, query, headers, _ = service.asked[1]
    assert query["q"] == 'track:"Hyperballad" artist:"Björk"'
    assert headers["Authorization"] == "Bearer secret-token"
    assert service.asked[0][3] == "grant_type=client_credentials"


@pytest.mark.django_db
def test_musicbrainz_takes_the_first_release_and_its_cover(musicbrainz, service):
    track = hyperballad(name="Hyper-Ballad")
    applying.enrich(musicbrainz, [track.pk])
    track.refresh_from_db()
    assert str(track.musicbrainz_id) == MBID
    assert track.year == 1995
    assert track.cover_url == "https://coverartarchive.org/release/early/1-500.jpg"
    assert sorted(track.genres.values_list("name", flat=True)) == ["art pop", "electronic"]
    assert "ops@example.org" in service.asked[0][2]["User-Agent"]
    assert service.asked[0][1]["query"] == 'recording:"Hyper\\-Ballad" AND artist:"Björk"'


@pytest.mark.django_db
def test_what_is_there_and_what_an_editor_typed_stays(spotify):
    track = hyperballad(year=1994, edited_fields=["genres", "cover_url"])
    applying.enrich(spotify, [track.pk])
    track.refresh_from_db()
    assert track.year == 1994
    assert track.cover_url == ""  # emptied on purpose
    assert not track.genres.exists()
    assert track.isrc == "GBAYE9500095"


@pytest.mark.django_db
def test_an_editors_form_marks_what_was_typed(admin_client):
    track = hyperballad()
    form = admin_client.get(f"/admin/recommendations/track/{track.pk}/change/")
    values = {k: v for k, v in form.context["adminform"].form.initial.items() if v is not None}
    values |= {"genres": [], "year": "1990"}
    answer = admin_client.post(f"/admin/recommendations/track/{track.pk}/change/", values)
    assert answer.status_code == 302, answer.context["errors"]
    track.refresh_from_db()
    assert track.edited_fields == ["year"]


@pytest.mark.django_db
def test_a_run_goes_on_where_the_last_one_stopped(spotify, service, waits):
    tracks = [hyperballad(), make_track(name="Nowhere To Be Found"), hyperballad()]
    assert list(applying.to_look_up("spotify")) == tracks
    applying.enrich(spotify, [track.pk for track in tracks[:2]])
    assert TrackLookup.objects.get(track=tracks[1]).external_id == ""
    assert list(applying.to_look_up("spotify")) == tracks[2:]
    service.refusals = [(500, {})]
    done = applying.enrich(spotify, [tracks[2].pk])
    assert done.stopped == "Spotify answers 500."
    assert list(applying.to_look_up("spotify")) == tracks[2:]
    assert applying.to_look_up("spotify", again=True).count() == 3


@pytest.mark.django_db
def test_an_isrc_or_an_id_is_asked_for_rather_than_words(spotify, service):
    applying.enrich(spotify, [hyperballad(isrc="GBAYE9500095").pk])
    applying.enrich(spotify, [hyperballad(spotify_id=SPOTIFY_TRACK["id"]).pk])
    assert service.asked[1][1]["q"] == "isrc:GBAYE9500095"
    assert service.paths[3] == f"/v1/tracks/{SPOTIFY_TRACK['id']}"
    assert service.paths.count("/api/token") == 1  # a token lasts an hour
    assert service.paths.count("/v1/artists/7w29UYBi0qsHi5RTcv3lmA") == 1


@pytest.mark.django_db
@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_told_to(spotify, service, waits, status):
    service.refusals = [(status, {"Retry-After": "7"})]
    track = hyperballad()
    assert applying.enrich(spotify, [track.pk]).found == 1
    assert waits == [7]


@pytest.mark.django_db
def test_without_being_told_it_waits_longer_and_longer(musicbrainz, service, waits):
    service.refusals = [(503, {})] * 3
    assert applying.enrich(musicbrainz, [hyperballad(name="Hyper-Ballad").pk]).found == 1
    assert waits == [2, 4]  # at once, then doubling


@pytest.mark.django_db
def test_a_service_that_keeps_refusing_ends_the_run(musicbrainz, service, waits):
    service.refusals = [(503, {})] * 30
    done = applying.enrich(musicbrainz, [hyperballad().pk])
    assert done.stopped == "MusicBrainz answers 503."
    assert not TrackLookup.objects.exists()


@pytest.mark.parametrize(
    ("following", "asked"),
    [
        ("https://asked.example/other", "https://asked.example/other"),
        ("https://archive.org/a?b", "https://archive.org/a?b"),
        ("http://ia8.us.archive.org/a", "https://ia8.us.archive.org/a"),
        ("http://asked.example/other", ""),
        ("https://archive.org.evil.example/", ""),
        ("https://notarchive.org/", ""),
        ("https://archive.org@10.0.0.1/", ""),
        ("https://archive.org:8443/", ""),
        ("http://169.254.169.254/latest/meta-data", ""),
        ("http://127.0.0.1:5432/", ""),
        ("http://[::1]/", ""),
        ("file:///etc/passwd", ""),
        ("//10.0.0.1/", ""),
        ("", ""),
    ],
)
def test_an_answer_leads_to_the_services_own_hosts_alone(following, asked):
    address = asking.address_to_follow("https://asked.example/x", following, ("archive.org",))
    assert address == asked


def test_a_redirect_within_the_service_is_followed(service):
    service.refusals = [(302, {"Location": "/release/early"})]
    assert asking.Asker("Covers", pause=0).get(f"{service.url}/release/merged") == COVER
    assert service.paths == ["/release/merged", "/release/early"]


def test_a_redirect_to_a_private_address_is_not_asked(service):
    inside = Service()
    try:
        service.refusals = [(307, {"Location": f"{inside.url}/release/early"})]
        with pytest.raises(ProviderRefuses, match="not its own"):
            asking.Asker("Covers", pause=0, hosts=("archive.org",)).get(f"{service.url}/x")
        assert inside.asked == []
    finally:
        inside.server.shutdown()
        inside.server.server_close()


def test_redirects_without_end_are_a_refusal(service):
    service.refusals = [(302, {"Location": "/round"})] * 20
    with pytest.raises(ProviderRefuses, match="without end"):
        asking.Asker("Covers", pause=0).get(f"{service.url}/round")
    assert len(service.asked) == 1 + asking.MOST_REDIRECTS


def test_nothing_else_of_ours_asks_another_server():
    """A new place that asks must be thought about: who may name the address?"""
    may = {
        "recommendations/services/imports/downloading.py",  # public addresses, test_downloading.py
        "recommendations/services/enrichment/asking.py",  # the two providers, above
        "recommendations/serving/storage.py",  # the bucket of the settings
        "musicrec/tracing.py",  # OpenTelemetry's collector, of its variables
    }
    asks = re.compile(
        r"^\s*(import|from) (requests|requests_hardened|urllib3|urllib\.request|http\.client|"
        r"httpx|aiohttp|boto3|botocore|ftplib|smtplib\.SMTP|opentelemetry\.exporter)\b",
        re.MULTILINE,
    )
    found = {
        str(path.relative_to(django_settings.BASE_DIR))
        for folder in ("accounts", "bandits", "experiments", "musicrec", "recommendations")
        for path in (django_settings.BASE_DIR / folder).rglob("*.py")
        if "tests" not in path.parts and asks.search(path.read_text())
    }
    assert found == may


def test_nobody_at_the_address_is_a_refusal(waits):
    spotify = Spotify("id", "s", api="http://127.0.0.1:9", tokens="http://127.0.0.1:9", pause=0)
    with pytest.raises(ProviderRefuses, match="does not answer"):
        spotify.look_up(applying.Wanted("a", "b"), known_id="")


def test_questions_keep_their_pause(service, monkeypatch):
    waits = []
    monkeypatch.setattr(asking.time, "sleep", waits.append)
    asker = asking.Asker("MusicBrainz", pause=1.1)
    for _ in range(3):
        asker.get(f"{service.url}/release/early")
    assert len(waits) == 2
    assert all(1.0 < wait <= 1.1 for wait in waits)


@pytest.mark.django_db
def test_the_command_names_what_the_environment_lacks(settings):
    settings.SPOTIFY_CLIENT_ID = settings.SPOTIFY_CLIENT_SECRET = ""
    with pytest.raises(CommandError, match="SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET"):
        call_command("enrich_tracks", provider="spotify")


@pytest.mark.django_db
def test_the_command_looks_up_what_is_left_and_reports(spotify, settings, monkeypatch, capsys):
    settings.SPOTIFY_CLIENT_ID = settings.SPOTIFY_CLIENT_SECRET = "set"
    monkeypatch.setattr(applying, "provider_of", lambda name: spotify)
    hyperballad()
    make_track(name="Nowhere To Be Found")
    call_command("enrich_tracks", provider="spotify", limit=1)
    assert "1 looked up: 1 found" in capsys.readouterr().out
    assert Track.objects.exclude(lookups__provider="spotify").count() == 1
