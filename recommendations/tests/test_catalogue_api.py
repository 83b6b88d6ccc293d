"""Reading the catalogue, as a client does."""

from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from recommendations.core.search_text import normalize, prefix_query
from recommendations.models import Artist, Track
from recommendations.services.catalogue import touch_catalogue
from recommendations.tests.factories import make_catalogue, make_track

pytestmark = pytest.mark.django_db


def get(client, path, **query):
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def ids(page):
    return [track["track_id"] for track in page["results"]]


def pages(client, path, **query):
    """Every page from the first to the last."""
    found = [get(client, path, **query)]
    while found[-1]["next"]:
        found.append(get(client, found[-1]["next"].removeprefix("http://testserver")))
    return found


@pytest.fixture
def few(db):
    """Four tracks with names that are hard to type."""
    tracks = [
        make_track(
            track_id="hyper", name="Hyper-ballad", artist="Björk", genres=["art pop"],
            popularity=70, year=1995, cover_url="https://img.example/h.jpg",
        ),
        make_track(track_id="army", name="Army of Me", artist="Björk", popularity=60, year=1995),
        make_track(
            track_id="signs", name="!!!", artist="Chk Chk Chk", genres=["dance"], year=2001
        ),
        make_track(track_id="cafe", name="Café del Mar", artist="Energy 52", popularity=10),
    ]  # fmt: skip
    touch_catalogue()
    return tracks


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hyper", ["hyper"]),
        ("BJORK", ["hyper", "army"]),
        ("björk hyp", ["hyper"]),
        ("bal", ["hyper"]),
        ("art bjo", ["hyper"]),
        ("cafe", ["cafe"]),
        ("CAFÉ", ["cafe"]),
        ("!!!", ["signs"]),
        ("dance", ["signs"]),
        ("'; drop", []),
        ("\\", []),
        ("yper", []),
    ],
)
def test_tracks_are_found_by_the_beginnings_of_their_words(client, few, text, found):
    assert ids(get(client, "/tracks", q=text)) == found


def test_filters_narrow_together(client, few):
    assert ids(get(client, "/tracks", genre="Art Pop")) == ["hyper"]
    assert ids(get(client, "/tracks", year_from=1990, year_to=1999, q="army")) == ["army"]
    artist = few[0].artist_id
    assert ids(get(client, "/tracks", artist_id=artist)) == ["hyper", "army"]


def test_a_renamed_artist_is_found_by_the_new_name_alone(admin_client, client, few):
    artist = few[0].artist
    answer = admin_client.post(
        f"/admin/recommendations/artist/{artist.pk}/change/",
        {"name": "Guðmundsdóttir", "is_active": "on"},
    )
    assert answer.status_code == 302
    assert ids(get(client, "/tracks", q="gudmunds")) == ["hyper", "army"]
    assert ids(get(client, "/tracks", q="bjork")) == []


def test_pages_hold_every_track_once_forwards_and_backwards(client, db):
    make_catalogue(25)
    found = pages(client, "/tracks", limit=10)
    assert [len(page["results"]) for page in found] == [10, 10, 5]
    everything = [track for page in found for track in ids(page)]
    assert len(set(everything)) == 25
    assert found[0]["previous"] is None
    back = get(client, found[2]["previous"].removeprefix("http://testserver"))
    assert ids(back) == ids(found[1])
    first = get(client, back["previous"].removeprefix("http://testserver"))
    assert (ids(first), first["previous"]) == (ids(found[0]), None)


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "W10="},
        {"cursor": "WyJuIiwgMV0="},
        {"cursor": "W" * 10_000},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "9" * 5000},
        {"limit": "00001000000"},
        {"limit": "00001" + "0" * 30},
        {"limit": "٣"},
        {"artist_id": "1" + "0" * 30},
        {"year_from": "NaN"},
        {"q": "x" * 201},
        {"q": "\x00"},
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(client, few, query):
    answer = client.get("/tracks", query)
    assert answer.status_code == 400, answer.content
    assert next(iter(query)) in answer.content.decode()


@pytest.mark.parametrize("track_id", ["AC/DC-1", "/1", "a\nb", "similar/1", "cover.svg"])
def test_a_track_whose_id_stands_badly_in_an_address_is_found(client, track_id, db):
    make_track(track_id=track_id)
    make_catalogue(3)
    address = f"/tracks/{quote(track_id, safe='')}"
    assert get(client, address)["track_id"] == track_id
    assert track_id not in ids({"results": get(client, f"{address}/similar")})
    assert client.get(f"{address}/cover.svg").headers["Content-Type"] == "image/svg+xml"
    assert client.get(f"/tracks/{track_id}").status_code == 200 or "\n" in track_id


def test_a_track_tells_all(client, few):
    track = get(client, "/tracks/hyper")
    assert track["track_name"] == "Hyper-ballad"
    assert (track["artist"], track["artist_id"]) == ("Björk", few[0].artist_id)
    assert (track["genres"], track["year"], track["popularity"]) == (["art pop"], 1995, 70)
    assert (track["cover_url"], track["preview_url"]) == ("https://img.example/h.jpg", None)
    assert set(track["audio"]) >= {"energy", "tempo_bpm"}
    assert client.get("/tracks/nothing").status_code == 404


def test_a_hidden_track_is_nowhere(client, few):
    Track.objects.filter(track_id="hyper").update(is_active=False)
    touch_catalogue()
    assert client.get("/tracks/hyper").status_code == 404
    assert ids(get(client, "/tracks", q="bjork")) == ["army"]
    assert "hyper" not in ids(get(client, "/latest"))
    assert get(client, "/search", q="hyper")["tracks"] == []


def test_an_artist_with_tracks_and_neighbours(client, tracks, version):
    artist = tracks[0].artist
    answer = get(client, f"/artists/{artist.pk}")
    assert answer["artist"] == artist.name
    assert answer["n_tracks"] == len(answer["tracks"]) == 2
    assert answer["genres"] == ["jazz"]
    assert answer["similar"]
    assert artist.pk not in [other["artist_id"] for other in answer["similar"]]
    assert client.get("/artists/999999999").status_code == 404
    assert client.get(f"/artists/{10**30}").status_code == 404


def test_artists_by_name_and_genre(client, few):
    assert [a["artist"] for a in get(client, "/artists", q="bjor")["results"]] == ["Björk"]
    assert [a["artist"] for a in get(client, "/artists", genre="dance")["results"]] == [
        "Chk Chk Chk"
    ]


def test_genres_with_what_stands_beside_them(client, db):
    make_track(genres=["jazz", "soul"], energy=0.2, valence=0.6)
    make_track(genres=["jazz"], energy=0.4, valence=0.6)
    make_track(genres=["techno"])
    touch_catalogue()
    jazz, soul, techno = get(client, "/genres")
    assert (jazz["genre"], jazz["n_tracks"], jazz["related"]) == ("jazz", 2, ["soul"])
    assert jazz["energy"] == pytest.approx(0.3, abs=1e-3)
    assert soul["related"] == ["jazz"]
    assert (techno["related"], techno["energy"]) == ([], None)


def test_the_latest_come_first(client, few):
    assert ids(get(client, "/latest", limit=2)) == ["cafe", "signs"]


def test_where_nothing_was_heard_the_best_known_are_the_trend(client, few):
    assert ids(get(client, "/trending", limit=2)) == ["hyper", "army"]
    assert ids(get(client, "/trending", genre="DANCE")) == ["signs"]
    assert ids(get(client, "/trending", genre="none")) == []


def test_search_answers_tracks_artists_and_genres(client, few):
    found = get(client, "/search", q="ar")
    assert [track["track_id"] for track in found["tracks"]] == ["army", "hyper"]
    assert found["genres"] == ["art pop"]
    assert [a["artist"] for a in get(client, "/search", q="BJ")["artists"]] == ["Björk"]
    assert get(client, "/search", q="") == {"tracks": [], "artists": [], "genres": []}


@pytest.mark.parametrize(
    "path", ["/tracks", "/tracks/t1", "/tracks/t1/similar", "/artists", "/genres", "/trending",
             "/latest", "/search?q=song"]
)  # fmt: skip
def test_what_has_not_changed_is_not_sent_again(client, tracks, path):
    first = client.get(path)
    assert first.headers["ETag"]
    again = client.get(path, headers={"if-none-match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(path, headers={"if-none-match": '"other"'})
    assert other.content == first.content


@pytest.mark.parametrize(
    ("path", "n"),
    [("/tracks?q=song", 2), ("/artists", 1), ("/latest", 2), ("/search?q=song", 5), ("/genres", 0),
     ("/trending", 0), ("/tracks/t1", 2), ("/tracks/t1/similar", 0)],
)  # fmt: skip
@pytest.mark.parametrize("limit", [5, 20])
def test_queries_do_not_grow_with_the_list(client, tracks, path, n, limit):
    client.get(path)  # the process reads the catalogue
    with CaptureQueriesContext(connection) as captured:
        client.get(path, {"limit": limit} if "?" not in path else None)
    asked = [q["sql"] for q in captured if "servingstate" not in q["sql"]]
    assert len(asked) <= n, asked


def test_normalizing_is_what_a_person_would_type():
    assert normalize("  Guðrún  Ósk—Łódź ") == "gudrun osk lodz"
    assert normalize("Straße ﬁn Æther") == "strasse fin aether"
    assert normalize("!!!") == "!!!"
    assert normalize("x" * 5000) == "x" * 100
    assert prefix_query("O'Brien \\ x") == "'o':* & 'brien':* & 'x':*"


def test_names_of_any_kind_can_be_kept_and_found(client, db):
    for number, name in enumerate(["ﷺ" * 400, "日本語の歌", "a" * 500, "'\\\"", "🎵", "е́ж"]):
        make_track(track_id=f"n{number}", name=name)
    touch_catalogue()
    assert ids(get(client, "/tracks", q="日本")) == ["n1"]
    assert ids(get(client, "/tracks", q="ЕЖ")) == ["n5"]
    assert Artist.objects.count() == 6
