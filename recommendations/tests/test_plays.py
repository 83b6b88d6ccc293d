"""Rows of other services, read exactly; names brought to one spelling."""

import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.matching import artist_keys, title_key
from recommendations.core.plays import NotAPlay, Play, read_play
from recommendations.core.search_text import normalize
from recommendations.services.imports import history_files
from recommendations.services.imports.history_files import Unreadable, read_rows

NOW = 1.8e9
SPOTIFY = {
    "ts": "2023-05-01T10:03:20Z",
    "ms_played": 200_000,
    "master_metadata_track_name": "Hyperballad",
    "master_metadata_album_artist_name": "Björk",
    "spotify_track_uri": "spotify:track:6JQm7sPMl9Ze3j0aC1xBcd",
    "reason_end": "trackdone",
    "skipped": False,
}
LISTENBRAINZ = {
    "listened_at": 1_682_935_200,
    "track_metadata": {
        "artist_name": "Björk",
        "track_name": "Hyperballad",
        "additional_info": {
            "recording_mbid": "0D5C3C7A-9D1B-4A3C-8F2E-1A2B3C4D5E6F",
            "duration_ms": 321_000,
            "isrc": "GBAAA9500012",
        },
    },
}
LASTFM_API = {
    "artist": {"#text": "Björk", "mbid": ""},
    "name": "Hyperballad",
    "date": {"uts": "1682935200", "#text": "01 May 2023, 10:00"},
}
SHORT = {
    "endTime": "2023-05-01 10:03",
    "artistName": "Björk",
    "trackName": "Hyperballad",
    "msPlayed": 180_000,
}


@pytest.mark.parametrize("row", [SPOTIFY, LISTENBRAINZ, LASTFM_API, SHORT])
def test_a_row_of_each_service_is_the_same_play(row):
    play = read_play(row, now=NOW)
    assert (play.artist, play.title, play.started_at) == ("Björk", "Hyperballad", 1_682_935_200)


def test_ids_are_read_where_a_row_has_them():
    assert read_play(SPOTIFY, now=NOW).spotify_id == "6JQm7sPMl9Ze3j0aC1xBcd"
    play = read_play(LISTENBRAINZ, now=NOW)
    assert play.musicbrainz_id.lower() == "0d5c3c7a-9d1b-4a3c-8f2e-1a2b3c4d5e6f"
    assert (play.isrc, play.duration_ms) == ("GBAAA9500012", 321_000)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"artist": "Björk"},
        {**SPOTIFY, "master_metadata_track_name": None},  # an episode of a podcast
        {**SPOTIFY, "ts": "yesterday"},
        {**SPOTIFY, "ts": None},
        {**SPOTIFY, "ms_played": -1},
        {**SPOTIFY, "ms_played": "long"},
        {**SPOTIFY, "ms_played": float("nan")},
        {**SPOTIFY, "ts": "2999-01-01T00:00:00Z"},
        {**LASTFM_API, "date": {"uts": "0"}},
        {**LASTFM_API, "date": {"#text": "01 Xxx 2023, 10:00"}},
        {**LISTENBRAINZ, "listened_at": 10**30},
        {**LISTENBRAINZ, "listened_at": [1]},
        {**LISTENBRAINZ, "track_metadata": "Hyperballad"},
    ],
)
def test_a_row_that_is_no_play_says_why(row):
    with pytest.raises(NotAPlay, match=r"\w"):
        read_play(row, now=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from([SPOTIFY, LISTENBRAINZ, LASTFM_API, SHORT]), st.data())
def test_whatever_a_field_holds_a_row_is_a_play_or_is_not(row, data):
    field = data.draw(st.sampled_from(sorted(row)))
    try:
        play = read_play({**row, field: data.draw(JSON)}, now=NOW)
    except NotAPlay:
        return
    assert 0 < play.started_at <= NOW
    (play.artist + play.title).encode()


@pytest.mark.parametrize(
    ("play", "duration", "expected"),
    [
        (Play("a", "t", 1.0), 100, ("play", None)),
        (Play("a", "t", 1.0, ms_played=90), 100, ("play", 0.9)),
        (Play("a", "t", 1.0, ms_played=300), 100, ("play", 1.0)),
        (Play("a", "t", 1.0, ms_played=30), 100, ("skip", 0.3)),
        (Play("a", "t", 1.0, ms_played=90, skipped=True), 100, ("skip", 0.9)),
        (Play("a", "t", 1.0, ms_played=30, skipped=False), 100, ("play", 0.3)),
        (Play("a", "t", 1.0, ms_played=29_999), None, ("skip", None)),
        (Play("a", "t", 1.0, ms_played=30_000), None, ("play", None)),
    ],
)
def test_how_long_a_track_was_heard_says_whether_it_was_skipped(play, duration, expected):
    assert play.response(duration) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hyperballad", "HYPERBALLAD"),
        ("Déjà Vu", "Deja vu"),
        ("Communication Breakdown - 1990 Remaster", "Communication Breakdown"),
        ("Communication Breakdown - Remastered 2014", "Communication Breakdown"),
        ("Heroes (2017 Remaster)", "Heroes"),
        ("Crazy in Love (feat. Jay-Z)", "Crazy In Love"),
        ("Crazy in Love ft. Jay-Z", "crazy in love"),
        ("Don't Stop Me Now", "Dont Stop Me Now".replace("Dont", "Don’t")),
        ("Help! - Mono Version", "Help!"),
    ],
)
def test_spellings_of_one_recording_are_one(one, other):
    assert title_key(one) == title_key(other)


@pytest.mark.parametrize(
    "title",
    ["Alive (Live)", "Song - Acoustic", "Song - Radio Edit", "Song (Remix)", "Left", "Features"],
)
def test_another_recording_stays_another(title):
    assert title_key(title) not in (title_key("Alive"), title_key("Song"), "")


@pytest.mark.parametrize("title", ["!!!", "(feat. X)", "- Remastered", "…"])
def test_a_title_of_signs_alone_is_still_a_title(title):
    assert title_key(title)


def test_guests_and_further_artists_are_left_out_last():
    assert artist_keys("Jay-Z feat. Beyoncé") == ["jay z feat beyonce", "jay z"]
    assert artist_keys("Simon, Garfunkel") == ["simon garfunkel", "simon"]
    assert artist_keys("") == []


@given(st.text(max_size=60))
def test_a_title_key_of_any_text_is_in_the_spelling_of_searches(title):
    assert normalize(title_key(title)) == title_key(title)


# -- files -------------------------------------------------------------------------------------


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_json", ".json"), content)
    return file.getvalue()


def names(content, file_name="upload"):
    return [row.get("name") or row.get("track") for row in read_rows(content, file_name)]


ROW = {"artist": "A", "name": "T", "date": {"uts": "1682935200"}}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([ROW, ROW]).encode(),
        ("\ufeff" + json.dumps([ROW, ROW])).encode(),
        f"{json.dumps(ROW)}\n{json.dumps(ROW)}\n".encode(),
        json.dumps([[ROW], [ROW]]).encode(),
        json.dumps([{"recenttracks": {"track": [ROW, ROW], "@attr": {"page": "1"}}}]).encode(),
        b"artist,album,track,date\nA,B,T,01 May 2023 10:00\nA,B,T,01 May 2023 10:05\n",
        b"A,B,T,01 May 2023 10:00\nA,B,T,01 May 2023 10:05\n",
        b"2023-05-01,10:00:00,A,T\n2023-05-01,10:05:00,A,T\n",
        b"uts;artist;album;track\n1682935200;A;B;T\n1682935500;A;B;T\n",
        zipped(listens__2023_json=json.dumps(ROW), listens__2024_json=json.dumps(ROW)),
        zipped(Streaming_History_Audio_1_json=json.dumps([ROW, ROW]), user_json='{"name": "x"}'),
    ],
)
def test_every_form_gives_its_rows(content):
    assert names(content) == ["T", "T"]


def test_an_object_larger_than_a_chunk_is_read(monkeypatch):
    monkeypatch.setattr(history_files, "CHUNK", 64)
    row = {**ROW, "name": "T" * 500}
    assert names(json.dumps([row, ROW]).encode()) == ["T" * 500, "T"]


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 and then nothing",
        zipped(photo__png="x"),
        b'[{"artist": "A", "name": "T"',
        b"[1, 2, 3]",
        b'["a"]',
        b'{"artist": tru}',
        b"{" + b'"a":{' * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"what is this\nsurely no table\n",
    ],
)
def test_a_file_that_is_no_export_says_so(content):
    with pytest.raises(Unreadable, match=r"\w"):
        list(read_rows(content, "upload"))


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(history_files, "MAX_UNPACKED", 100_000)
    bomb = zipped(endsong_json="[" + " " * 10_000_000 + "]")
    assert len(bomb) < 20_000
    with pytest.raises(Unreadable, match="more than"):
        list(read_rows(bomb, "bomb.zip"))


def test_a_zip_with_too_many_members_is_refused(monkeypatch):
    monkeypatch.setattr(history_files, "MAX_MEMBERS", 2)
    with pytest.raises(Unreadable, match="members"):
        list(read_rows(zipped(a_json="[]", b_json="[]", c_json="[]"), "x.zip"))
