import pytest

from recommendations.core.recording_match import Offered, Wanted, first_match, is_match

HYPERBALLAD = Wanted("Hyperballad", "Björk", duration_ms=322_000)


@pytest.mark.parametrize(
    "title",
    ["Hyperballad", "HYPERBALLAD", "Hyperballad - 2015 Remaster", "Hyperballad (Mono Version)"],
)
def test_an_edition_of_the_same_recording_matches(title):
    assert is_match(HYPERBALLAD, Offered(title, ("Bjork",), duration_ms=321_000))


@pytest.mark.parametrize(
    "offered",
    [
        Offered("Hyperballad", ("Whitney Rose",)),
        Offered("Hyper-ballad Blues", ("Björk",)),
        Offered("Hyperballad", ("Björk",), duration_ms=512_000),
    ],
)
def test_another_artist_title_or_length_does_not(offered):
    assert not is_match(HYPERBALLAD, offered)


def test_the_same_isrc_settles_it():
    wanted = Wanted("Hyper-Ballad", "Bjork Gudmundsdottir", isrc="GBAYE9500095")
    assert is_match(wanted, Offered("Hyperballad", ("Björk",), isrcs=("GBAYE9500095",)))


def test_the_first_that_matches_is_taken():
    offers = [Offered("Jóga", ("Björk",)), Offered("Hyperballad", ("Björk",))]
    assert first_match(HYPERBALLAD, offers) == 1
    assert first_match(HYPERBALLAD, offers[:1]) is None
