"""The hand-written catalogue stays well formed and varied."""

import csv
from collections import Counter
from pathlib import Path

import pytest

TRACKS_CSV = Path(__file__).parents[1] / "demo" / "tracks.csv"
COLUMNS = [
    "track_id",
    "name",
    "artist",
    "album",
    "genres",
    "duration_ms",
    "popularity",
    "danceability",
    "energy",
    "valence",
    "acousticness",
    "liveness",
    "speechiness",
    "loudness_db",
    "tempo_bpm",
    "year",
]


@pytest.fixture(scope="module")
def tracks():
    with TRACKS_CSV.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_columns_are_those_of_the_importer_and_year(tracks):
    assert list(tracks[0]) == COLUMNS
    assert all(None not in track and None not in track.values() for track in tracks)


def test_ids_count_up_from_one(tracks):
    assert [track["track_id"] for track in tracks] == [f"demo-{i + 1}" for i in range(len(tracks))]


def test_no_recording_is_listed_twice(tracks):
    recordings = Counter((t["name"].casefold(), t["artist"].casefold()) for t in tracks)
    assert [recording for recording, count in recordings.items() if count > 1] == []


def test_text_is_trimmed_and_free_of_control_characters(tracks):
    for track in tracks:
        for column in ("name", "artist", "album", "genres"):
            text = track[column]
            assert text, track
            assert text == text.strip(), track
            assert text.isprintable(), track


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [
        ("danceability", 0, 1),
        ("energy", 0, 1),
        ("valence", 0, 1),
        ("acousticness", 0, 1),
        ("liveness", 0, 1),
        ("speechiness", 0, 1),
        ("popularity", 0, 100),
        ("loudness_db", -40, 0),
        ("tempo_bpm", 40, 220),
        ("duration_ms", 60_000, 3_600_000),
        ("year", 1950, 2029),
    ],
)
def test_numbers_are_in_range(tracks, column, low, high):
    outside = [t["name"] for t in tracks if not low <= float(t[column]) <= high]
    assert outside == []


def test_every_decade_from_the_fifties_has_at_least_thirty_tracks(tracks):
    decades = Counter(int(t["year"]) // 10 * 10 for t in tracks)
    assert set(decades) >= set(range(1950, 2030, 10))
    assert min(decades.values()) >= 30


def test_genres_are_one_to_three_and_each_genre_has_company(tracks):
    genres = Counter()
    for track in tracks:
        names = track["genres"].split(";")
        assert 1 <= len(names) <= 3, track
        assert len(set(names)) == len(names), track
        assert all(name == name.strip().lower() and name for name in names), track
        genres.update(names)
    assert len(genres) >= 25
    assert min(genres.values()) >= 4, "a genre of one or two tracks is a spelling variant"


def test_the_catalogue_is_large_and_many_artists_have_several_tracks(tracks):
    per_artist = Counter(track["artist"] for track in tracks)
    assert len(tracks) >= 450
    assert len(per_artist) >= 220
    assert sum(count >= 2 for count in per_artist.values()) >= 100
    assert sum(count >= 3 for count in per_artist.values()) >= 30


def test_artists_and_titles_keep_their_own_script(tracks):
    artists = {track["artist"] for track in tracks}
    assert {"Björk", "Sigur Rós", "Beyoncé", "Édith Piaf", "坂本龍一"} <= artists
    assert any(t["name"] == "Hyperballad" and t["artist"] == "Björk" for t in tracks)


def test_quiet_tracks_are_estimated_with_less_energy(tracks):
    ballads = [t for t in tracks if float(t["loudness_db"]) < -18]
    loud = [t for t in tracks if float(t["loudness_db"]) > -5]
    assert len(ballads) >= 20
    assert len(loud) >= 20
    assert max(float(t["energy"]) for t in ballads) < min(float(t["energy"]) for t in loud)
