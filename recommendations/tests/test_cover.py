"""Covers: the same for the same track, safe in a page, readable by what they show."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.core.cover import GENRE_HUES, cover_svg, genre_hue

HYPERBALLAD = {
    "title": "Hyperballad",
    "artist": "Björk",
    "genres": ["art pop", "electronic"],
    "energy": 0.56,
    "valence": 0.33,
}
SVG = "{http://www.w3.org/2000/svg}"


def ground(svg):
    return re.search(r'<rect[^>]*fill="#([0-9a-f]{6})"', svg)[1]


def brightness(colour):
    return sum(int(colour[i : i + 2], 16) for i in (0, 2, 4))


def test_the_same_track_has_the_same_cover():
    assert cover_svg(**HYPERBALLAD) == cover_svg(**HYPERBALLAD)


def test_tracks_of_one_artist_differ():
    assert cover_svg(**HYPERBALLAD) != cover_svg(**HYPERBALLAD | {"title": "Army of Me"})


@given(
    title=st.text(
        st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
    ),
    artist=st.sampled_from(["</title><script>alert(1)</script>", '" onload="x', "坂本龍一"]),
    genres=st.lists(st.sampled_from([*GENRE_HUES, "polka", "<b>"]), max_size=3),
    energy=st.floats(0, 1),
    valence=st.floats(0, 1),
)
def test_any_track_gives_well_formed_svg_of_plain_shapes(title, artist, genres, energy, valence):
    svg = cover_svg(title=title, artist=artist, genres=genres, energy=energy, valence=valence)
    root = ET.fromstring(svg)  # noqa: S314 - parses what the function under test wrote
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "title", "rect", "path", "circle")
    }
    allowed = {"viewBox", "role", "width", "height", "fill", "d", "cx", "cy", "r"}
    assert {name for element in root.iter() for name in element.attrib} <= allowed
    assert "nan" not in svg.replace(root[0].text, "")


def test_the_title_is_the_name_for_screen_readers():
    svg = cover_svg(**HYPERBALLAD | {"title": "Rock & <Roll>"})
    assert ET.fromstring(svg)[0].text == "Cover drawn for Rock & <Roll> by Björk"  # noqa: S314


def test_a_glad_track_has_a_lighter_ground():
    grounds = [
        brightness(ground(cover_svg(**HYPERBALLAD | {"valence": v}))) for v in (0, 0.25, 0.5, 1)
    ]
    assert grounds == sorted(set(grounds))


def test_the_genre_alone_decides_the_ground_colour_at_one_valence():
    one = cover_svg(title="a", artist="b", genres=["soul"], energy=0.1, valence=0.5)
    other = cover_svg(title="c", artist="d", genres=["soul"], energy=0.9, valence=0.5)
    techno = cover_svg(title="a", artist="b", genres=["techno"], energy=0.1, valence=0.5)
    assert ground(one) == ground(other) != ground(techno)


def test_energy_changes_the_shape_and_not_the_ground():
    calm = cover_svg(**HYPERBALLAD | {"energy": 0.0})
    wild = cover_svg(**HYPERBALLAD | {"energy": 1.0})
    assert calm != wild
    assert ground(calm) == ground(wild)


def test_an_unknown_genre_keeps_one_hue():
    assert genre_hue("polka") == genre_hue("Polka")
    assert 0 <= genre_hue("polka") < 360


@pytest.mark.parametrize("field", ["energy", "valence"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_features_out_of_range_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        cover_svg(**HYPERBALLAD | {field: value})
