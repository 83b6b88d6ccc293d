"""Covers as images: the same SVG as the pages draw, and a 404 where there is nothing to draw."""

from urllib.parse import quote

import pytest

from recommendations.core.cover import cover_svg
from recommendations.tests.factories import make_track

pytestmark = pytest.mark.django_db


def test_cover_is_drawn_from_the_track(client):
    track = make_track(name="Hyperballad", energy=0.56, valence=0.33)
    answer = client.get(f"/tracks/{track.track_id}/cover.svg")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.text == cover_svg(
        title="Hyperballad",
        artist=track.artist.name,
        genres=[genre.name for genre in track.genres.all()],
        energy=0.56,
        valence=0.33,
    )
    assert "max-age=86400" in answer.headers["Cache-Control"]


def test_track_without_features_has_a_cover_too(client):
    track = make_track(energy=None, valence=None)
    assert client.get(f"/tracks/{track.track_id}/cover.svg").status_code == 200


@pytest.mark.parametrize("genre", ["R&B/soul", "r&b", "and/or/"])
def test_a_genre_has_a_cover_whatever_is_in_its_name(client, genre):
    make_track(genres=[genre.lower()])
    address = f"/genres/{quote(genre, safe='')}/cover.svg"
    assert client.get(address).headers["Content-Type"] == "image/svg+xml"


@pytest.mark.parametrize("address", ["/tracks/none/cover.svg", "/genres/none/cover.svg"])
def test_cover_of_nothing_is_not_found(client, address):
    assert client.get(address).status_code == 404
