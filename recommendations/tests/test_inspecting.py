from datetime import timedelta

import pytest

from recommendations.models import Recommendation, Taste
from recommendations.services import feedback as responses
from recommendations.services.inspecting import compare_versions, replay
from recommendations.services.recommend import recommend
from recommendations.services.versions import NotReadable
from recommendations.services.wishes import Wishes
from recommendations.tests.factories import NOW, make_listener, make_version
from recommendations.tests.small_world import genre_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def slate(version, tracks):
    """A list for somebody with a taste, and a response after it that must not tell."""
    listener = make_listener(genres=[genre_of(0)])
    for track in tracks[:4]:
        responses.record_feedback(listener=listener, track=track, kind="like", at=NOW)
    at = NOW + timedelta(minutes=1)
    answer = recommend(listener=listener, wishes=Wishes(n=8), at=at, strategy="hybrid_ensemble")
    for track in tracks[6:9]:
        responses.record_feedback(
            listener=listener, track=track, kind="dislike", at=at + timedelta(minutes=1)
        )
    return Recommendation.objects.select_related("listener__preferences", "model_version").get(
        pk=answer.recommendation.pk
    )


def test_a_list_comes_out_again_as_it_was_whatever_was_learned_since(slate):
    again, other = replay(slate)
    assert again.same_order
    assert (again.agreement, again.shown) == (8, 8)
    assert again.differs_because == []
    assert other is None
    places = {c.on_slate for c in again.candidates if c.on_slate}
    assert places == set(range(1, 9))


def test_looking_changes_nothing(slate):
    before = (Taste.objects.values().get(), Recommendation.objects.count())
    replay(slate, what_if="trending")
    assert (Taste.objects.values().get(), Recommendation.objects.count()) == before


def test_another_strategy_is_laid_beside_with_the_places_of_the_list_shown(slate):
    _, other = replay(slate, what_if="content_based")
    assert other.served == "content_based"
    assert len(other.places) == 8
    for place in other.places:
        shown = slate.tracks.index(place.pk) + 1 if place.pk in slate.tracks else None
        assert place.other_place == shown


def test_two_versions_rank_for_the_same_taste(slate, trained, tracks):
    second = make_version(trained, tracks, promoted=False)
    one, other = compare_versions(
        slate.listener, slate.model_version, second, strategy="hybrid_ensemble", at=NOW
    )
    # The same arrays under two numbers: the lists are the same, place by place.
    assert [p.pk for p in one.places] == [p.pk for p in other.places]
    assert [p.other_place for p in one.places] == list(range(1, 11))


def test_a_version_whose_files_are_gone_says_so(slate, trained, tracks, settings, tmp_path):
    second = make_version(trained, tracks, promoted=False)
    settings.MODELS_DIR = tmp_path / "elsewhere"
    with pytest.raises(NotReadable, match="cannot be read"):
        compare_versions(slate.listener, slate.model_version, second, strategy="neural_cf", at=NOW)


def test_a_list_without_the_model_that_it_needs_says_so(slate):
    slate.model_version = None
    with pytest.raises(NotReadable, match="needs a model"):
        replay(slate)
