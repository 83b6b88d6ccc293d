"""A history brought along: matched, counted once, and felt by the next list."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from recommendations.models import Feedback, HistoryImport, OutboxEvent, Taste
from recommendations.services import undo
from recommendations.services.imports import history
from recommendations.tests.factories import make_feedback, make_listener, make_token, make_track
from recommendations.tests.test_queries import queries_of

pytestmark = pytest.mark.django_db

STARTED = datetime(2023, 5, 1, 10, tzinfo=UTC)


def spotify(title="Hyperballad", artist="Björk", *, minutes=0, ms=200_000, uri=None, **more):
    ended = STARTED + timedelta(minutes=minutes, milliseconds=ms)
    return {
        "ts": ended.isoformat().replace("+00:00", "Z"),
        "ms_played": ms,
        "master_metadata_track_name": title,
        "master_metadata_album_artist_name": artist,
        "spotify_track_uri": uri,
        **more,
    }


def lastfm(title="Hyperballad", artist="Björk", *, minutes=0):
    moment = int((STARTED + timedelta(minutes=minutes)).timestamp())
    return {"artist": {"#text": artist}, "name": title, "date": {"uts": str(moment)}}


def listenbrainz(title="Hyperballad", artist="Björk", *, minutes=0, **info):
    return {
        "listened_at": int((STARTED + timedelta(minutes=minutes)).timestamp()),
        "track_metadata": {"artist_name": artist, "track_name": title, "additional_info": info},
    }


def as_json(*rows):
    return json.dumps(rows).encode()


def as_zip(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.json", content)
    return file.getvalue()


def send(api, content, name="history.json", **fields):
    """Upload, let the worker do it, and return the report."""
    answer = api.post(
        "/me/import", {"file": SimpleUploadedFile(name, content), **fields}, format="multipart"
    )
    assert answer.status_code == 202, answer.content
    assert answer.json()["status"] == "queued"
    history.run_import(answer.json()["id"])
    return api.get(f"/me/imports/{answer.json()['id']}").json()


def counts(report):
    return tuple(report[name] for name in ("matched", "unmatched", "duplicates", "rejected"))


@pytest.fixture
def hyperballad(db):
    return make_track(artist="Björk", name="Hyperballad", duration_ms=321_000)


@pytest.mark.parametrize("row", [spotify, lastfm, listenbrainz])
def test_a_play_of_each_service_is_matched_by_name(api, listener, hyperballad, row):
    rows = [row(), row("HYPERBALLAD (feat. Nobody)", "bjork", minutes=60), row("Nothing Here")]
    report = send(api, as_json(*rows))
    assert (report["status"], report["error"]) == ("done", "")
    assert report["source"] == row.__name__
    assert counts(report) == (2, 1, 0, 0)
    assert report["examples"] == [{"name": "Björk – Nothing Here", "plays": 1}]
    assert report["finished_at"]
    plays = Feedback.objects.by(listener).order_by("occurred_at")
    assert [play.track for play in plays] == [hyperballad] * 2
    assert plays[0].occurred_at == STARTED
    assert all(play.imported for play in plays)


def test_a_play_is_matched_by_id_before_its_name(api, listener):
    track = make_track(name="Another Title", spotify_id="6JQm7sPMl9Ze3j0aC1xBcd")
    by_recording = make_track(musicbrainz_id="0d5c3c7a-9d1b-4a3c-8f2e-1a2b3c4d5e6f")
    by_code = make_track(isrc="GBAAA9500012")
    report = send(api, as_json(spotify(uri="spotify:track:6JQm7sPMl9Ze3j0aC1xBcd")))
    assert counts(report) == (1, 0, 0, 0)
    rows = [
        listenbrainz(recording_mbid="0D5C3C7A-9D1B-4A3C-8F2E-1A2B3C4D5E6F"),
        listenbrainz(isrc="GBAAA9500012", minutes=10),
    ]
    assert counts(send(api, as_json(*rows))) == (2, 0, 0, 0)
    heard = {row.track_id for row in Feedback.objects.by(listener)}
    assert heard == {track.pk, by_recording.pk, by_code.pk}


def test_a_play_counts_once_however_often_it_is_sent(api, listener, hyperballad):
    first = as_json(spotify(), spotify(minutes=60))
    assert counts(send(api, first)) == (2, 0, 0, 0)
    assert counts(send(api, first)) == (0, 0, 2, 0)
    overlapping = as_zip(
        Streaming_History_Audio_1=as_json(spotify(minutes=60), spotify(minutes=120)),
        Streaming_History_Audio_2=as_json(spotify(minutes=120), lastfm(minutes=0)),
    )
    assert counts(send(api, overlapping, "my.zip")) == (1, 0, 3, 0)
    assert Feedback.objects.by(listener).count() == 3
    assert Taste.objects.get(listener=listener).n_feedback == 3


def test_a_play_that_was_undone_or_given_here_does_not_come_again(api, listener, hyperballad):
    send(api, as_json(spotify()))
    undo.retract(Feedback.objects.get(), at=timezone.now())
    now = timezone.now()
    make_feedback(listener=listener, track=hyperballad, kind="play", at=now - timedelta(hours=1))
    same = lastfm()
    same["date"]["uts"] = str(int((now - timedelta(hours=1)).timestamp()) - 20)
    assert counts(send(api, as_json(spotify(), same))) == (0, 0, 2, 0)


def test_how_long_it_was_played_says_what_it_was(api, listener, hyperballad):
    rows = [spotify(ms=321_000), spotify(minutes=60, ms=10_000), spotify(minutes=90, skipped=True)]
    send(api, as_json(*rows))
    plays = Feedback.objects.by(listener).order_by("occurred_at")
    assert [play.kind for play in plays] == ["play", "skip", "skip"]
    assert [play.preference for play in plays] == [1.0, 0.0, pytest.approx(200 / 321)]


def test_the_next_list_uses_it(api, listener, tracks, version):
    before = api.post("/recommend", {"n_recommendations": 20}).json()["recommendations"]
    ids = [item["track_id"] for item in before]
    heard = [track for track in tracks if track.track_id in ids][:3]
    rows = []
    now = timezone.now()
    for track in heard:
        row = spotify(track.name, track.artist.name)
        row["ts"] = (now - timedelta(days=1)).isoformat()
        rows.append(row)
    assert counts(send(api, as_json(*rows))) == (3, 0, 0, 0)
    after = api.post("/recommend", {"n_recommendations": 20}).json()["recommendations"]
    shown = {item["track_id"] for item in after}
    assert shown.isdisjoint({track.track_id for track in heard})  # heard of late
    assert api.get("/me").json()["n_feedback"] == 3


def test_an_import_owes_no_effects_on_others(api, listener, hyperballad):
    send(api, as_json(spotify()))
    assert not OutboxEvent.objects.exists()


def test_rows_that_are_no_plays_are_counted(api, hyperballad):
    podcast = spotify(None, None)
    future = {**spotify(), "ts": "2999-01-01T00:00:00Z"}
    assert counts(send(api, as_json(spotify(), podcast, future, {}))) == (1, 0, 0, 3)


@pytest.mark.parametrize(
    "content", [b"not a history at all", b'[{"a": 1}]', b"PK\x03\x04broken", b"[]", b"{"]
)
def test_a_file_that_is_none_fails_with_the_reason(api, content):
    report = send(api, content)
    assert report["status"] == "failed"
    assert report["error"]
    assert HistoryImport.objects.get().content is None


def test_a_killed_import_goes_on_where_it_was(api, listener, hyperballad, monkeypatch):
    monkeypatch.setattr(history, "BATCH", 2)
    rows = [spotify(minutes=10 * n) for n in range(5)]
    take, taken = history._take_batch, []

    def dies(job, batch, matcher):
        if len(taken) == 1:
            raise KeyboardInterrupt
        taken.append(batch)
        return take(job, batch, matcher)

    monkeypatch.setattr(history, "_take_batch", dies)
    upload = {"file": SimpleUploadedFile("h.json", as_json(*rows))}
    pk = api.post("/me/import", upload, format="multipart").json()["id"]
    with pytest.raises(KeyboardInterrupt):
        history.run_import(pk)
    monkeypatch.setattr(history, "_take_batch", take)
    assert Feedback.objects.count() == 2
    now = timezone.now()
    assert history.stalled_imports(at=now) == []  # its worker may still be at it
    history.run_import(pk)
    assert Feedback.objects.count() == 2
    HistoryImport.objects.update(
        progressed_at=now - timedelta(minutes=6), created_at=now - timedelta(minutes=7)
    )
    assert history.stalled_imports(at=now) == [pk]
    history.run_import(pk)
    assert counts(api.get(f"/me/imports/{pk}").json()) == (5, 0, 0, 0)
    assert Feedback.objects.count() == 5
    history.run_import(pk)  # a late delivery
    assert Feedback.objects.count() == 5


def test_an_import_of_somebody_erased_ends(api, listener, hyperballad):
    upload = {"file": SimpleUploadedFile("h.json", as_json(spotify()))}
    pk = api.post("/me/import", upload, format="multipart").json()["id"]
    HistoryImport.objects.all().delete()
    history.run_import(pk)
    assert not Feedback.objects.exists()


def test_imports_are_ones_own(api, hyperballad):
    report = send(api, as_json(spotify()))
    stranger = APIClient()
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(make_listener())}")
    assert stranger.get(f"/me/imports/{report['id']}").status_code == 404
    assert stranger.get("/me/imports").json()["results"] == []
    assert len(api.get("/me/imports").json()["results"]) == 1
    for path in ("/me/imports", f"/me/imports/{report['id']}"):
        assert APIClient().get(path).status_code == 401
    assert APIClient().post("/me/import", {}, format="multipart").status_code == 401


def test_no_more_than_three_imports_wait(api):
    def upload():
        file = SimpleUploadedFile("h.json", as_json(spotify()))
        return api.post("/me/import", {"file": file}, format="multipart")

    assert [upload().status_code for _ in range(4)] == [202, 202, 202, 409]


@pytest.mark.parametrize(
    ("body", "field"), [({}, "file"), ({"file": "text"}, "file"), ({"source": "x"}, "source")]
)
def test_an_upload_without_a_file_is_refused(api, body, field):
    answer = api.post("/me/import", body, format="multipart")
    assert answer.status_code == 400
    assert field in str(answer.json())


def test_a_file_too_large_is_refused_before_it_is_read(api, monkeypatch):
    monkeypatch.setattr(history, "MAX_UPLOAD", 1000)
    file = SimpleUploadedFile("h.json", b"x" * (1024 * 1024 + 2000))
    assert api.post("/me/import", {"file": file}, format="multipart").status_code == 413
    file = SimpleUploadedFile("h.json", b"x" * 2000)
    assert api.post("/me/import", {"file": file}, format="multipart").status_code == 413


def test_a_batch_costs_the_same_however_many_plays(listener, hyperballad):
    class Done:
        status_code = 200

    def job(n):
        rows = [spotify(f"Title {i}", f"Artist {i}", minutes=i) for i in range(n)]
        return history.request_import(
            listener=listener,
            content=as_json(spotify(), *rows),
            file_name="h.json",
            source="",
            at=timezone.now(),
        )

    def take(n):
        pk = job(n).pk

        def act():
            history.run_import(pk)
            return Done()

        return len(queries_of(act))

    take(1)
    assert take(1) == take(300)
