import pytest
from django.utils import timezone

from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.serving import state
from recommendations.tests.factories import make_listener, make_track


@pytest.mark.django_db
def test_a_policy_that_names_no_strategy_still_gives_a_list():
    tracks = [make_track() for _ in range(3)]
    state.forget()
    answer = recommend(
        listener=make_listener(), wishes=Wishes(n=3), at=timezone.now(), strategy="no_such_strategy"
    )
    assert {item.track_id for item in answer.items} == {track.track_id for track in tracks}
    assert answer.recommendation.strategy == "trending"
    assert answer.recommendation.chosen_strategy == "no_such_strategy"
    assert answer.recommendation.fallback == "unknown_strategy"
