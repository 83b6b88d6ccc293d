"""Challenger and champion: which is served, and that neither is judged on what it has learned."""

import dataclasses
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from accounts.models import Listener
from recommendations.models import Feedback, ModelVersion, PlayCount, Retraction
from recommendations.services import train as training
from recommendations.services.imports.listens import import_listens
from recommendations.services.imports.reading import Rejects
from recommendations.services.snapshot import judged, newest_cut, since, take_snapshot
from recommendations.tests.factories import (
    NOW,
    make_catalogue,
    make_feedback_row,
    make_listener,
    make_play_count,
    make_track,
    make_version,
)
from recommendations.tests.test_training_runs import make_listening

NOBODY = {"challenger": None, "champion": None, "listeners": 0}


@pytest.mark.parametrize(
    ("challenger", "champion", "promoted"),
    [(0.4, 0.3, True), (0.3, 0.4, False), (0.3, 0.3, False)],
)
def test_only_the_better_one_is_served_and_the_verdict_gives_the_numbers(
    challenger, champion, promoted
):
    comparison = {
        "challenger": challenger,
        "champion": champion,
        "champion_version": 7,
        "champion_loads": True,
        "listeners": 20,
    }
    assert training._is_better(comparison) is promoted
    verdict = training.verdict_on(comparison)
    assert verdict.startswith("Promoted: " if promoted else "Kept, not served: ")
    assert "model 7" in verdict


def test_the_first_model_is_served():
    comparison = {**NOBODY, "champion_version": None, "champion_loads": False}
    assert training._is_better(comparison)
    assert training.verdict_on(comparison) == "Promoted: there was no model before it."


def test_a_model_that_serves_is_not_given_up_for_one_that_nobody_has_judged():
    comparison = {**NOBODY, "champion_version": 7, "champion_loads": True}
    assert not training._is_better(comparison)
    assert training.verdict_on(comparison).startswith("Kept, not served: no new responses")


@pytest.mark.parametrize("listeners", [0, 20])
def test_a_model_that_cannot_be_loaded_gives_way(listeners):
    comparison = {
        **NOBODY,
        "listeners": listeners,
        "champion_version": 7,
        "champion_loads": False,
    }
    assert training._is_better(comparison)
    assert "model 7, which it replaces, cannot be loaded" in training.verdict_on(comparison)


@pytest.mark.usefixtures("committed")
def test_a_model_is_as_good_as_itself_on_the_newest_slice(trained):
    tracks = make_catalogue()
    make_version(trained, tracks)
    make_listening(tracks)
    snapshot = take_snapshot()
    cut = newest_cut(snapshot, share=0.2)
    model = training.load_version(ModelVersion.objects.get())
    comparison = training.compare(snapshot, cut, model)
    assert comparison["champion_loads"]
    assert comparison["challenger"] == comparison["champion"] > 0
    assert comparison["difference_se"] == 0
    assert comparison["listeners"] > 20


@pytest.mark.usefixtures("committed")
def test_nobody_is_judged_by_whom_less_than_two_earlier_pairs_are_known():
    listeners = [make_listener() for _ in range(3)]
    tracks = [make_track() for _ in range(10)]
    for n, track in enumerate(tracks):
        for listener in listeners[:2]:
            make_feedback_row(listener=listener, track=track, at=NOW.replace(hour=n))
    make_feedback_row(listener=listeners[2], track=tracks[0], at=NOW)
    snapshot = take_snapshot()
    cut = newest_cut(snapshot, share=0.3)
    times, users = snapshot.interactions.time, snapshot.interactions.user_rows
    late, chosen = since(snapshot, cut), judged(snapshot, cut)
    assert late.sum() == 6
    assert times[late].min() >= times[~late].max()
    assert late[users == 2].all()  # learned by nobody, and judged by nobody
    assert chosen.tolist() == (late & (users != 2)).tolist()


@pytest.mark.usefixtures("committed")
def test_of_a_few_pairs_none_is_the_newest_twentieth():
    listener = make_listener()
    for n in range(5):
        make_feedback_row(listener=listener, track=make_track(), at=NOW.replace(hour=n))
    snapshot = take_snapshot()
    cut = newest_cut(snapshot, share=training.NEWEST_SHARE)
    assert not since(snapshot, cut).any()
    make_feedback_row(listener=listener, track=make_track(), at=NOW.replace(hour=5))
    assert since(take_snapshot(), cut).sum() == 1


# Each says what there is before the first of two runs and, after the yield, what comes before the
# second.


def short_histories_grow(tracks):
    """Listeners whom the first run hardly knew; some of their pairs have aged by the second."""
    for number in range(3):
        listener = make_listener()
        for n, track in enumerate(tracks[:8]):
            make_feedback_row(listener=listener, track=track, at=after(10 * number + n))
    yield
    for n, track in enumerate(tracks[10:30]):
        for number in range(2):
            make_feedback_row(listener=_someone(number), track=track, at=after(100 + n))


def totals_are_imported_again(tracks):
    """A grown total is no new pair."""
    import_totals(tracks[:10], 3)
    PlayCount.objects.update(imported_at=NOW - timedelta(days=1))
    yield
    import_totals(tracks[:5], 9)
    PlayCount.objects.filter(plays=9).update(imported_at=after(1))


def totals_follow_responses(tracks):
    """A total of a pair that was responded to before is no new pair either."""
    yield
    for number in range(5):
        for row in Feedback.objects.filter(listener=_someone(number)).order_by("pk"):
            make_play_count(listener=row.listener, track=row.track)
    PlayCount.objects.update(imported_at=after(1))


def an_old_history_is_imported(tracks):
    """Pairs of long ago shift what the newest twentieth is."""
    yield
    for number in range(40):
        listener = _someone(number)
        for n, track in enumerate(_unmet(listener, tracks)):
            at = NOW - timedelta(days=400 + n)
            make_feedback_row(listener=listener, track=track, at=at)


def responses_are_taken_back_and_given_again(tracks):
    """The pair was learned all the same."""
    yield
    for number in range(5):
        for row in Feedback.objects.filter(listener=_someone(number)):
            Retraction.objects.create(feedback=row, retracted_at=after(1))
            make_feedback_row(listener=row.listener, track=row.track, at=after(2))


def import_totals(tracks, plays):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "totals.csv"
        rows = [f"old-{n},{track.track_id},{plays}" for n in range(5) for track in tracks]
        path.write_text("\n".join(["user_id,track_id,plays", *rows]))
        with Rejects(path.name, Path(folder) / "rejects.csv") as rejects:
            import_listens(path, rejects=rejects)


def after(minutes):
    return NOW + timedelta(minutes=minutes)


def _someone(number):
    return Listener.objects.order_by("pk")[number]


def _unmet(listener, tracks):
    met = set(Feedback.objects.filter(listener=listener).values_list("track_id", flat=True))
    return [track for track in tracks if track.pk not in met]


def train_once():
    run = training.request_training(trigger="manual", at=NOW)
    assert training.train(run) is not None


def by_keys(interactions, snapshot):
    """Pairs of a snapshot as primary keys, which are the same in the next one."""
    listeners = snapshot.listener_pks[interactions.user_rows]
    tracks = snapshot.track_pks[interactions.track_rows]
    return set(zip(listeners.tolist(), tracks.tolist(), strict=True))


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    "meanwhile",
    [
        short_histories_grow,
        totals_are_imported_again,
        totals_follow_responses,
        an_old_history_is_imported,
        responses_are_taken_back_and_given_again,
    ],
)
def test_a_champion_is_never_judged_on_a_pair_that_it_learned(meanwhile, trained, monkeypatch):
    from recommendations.training import fit as fitting

    learned, judgements = [], []

    def fit(interactions, content, *, track_ids, **settings):
        learned.append(interactions)
        model = dataclasses.replace(trained, track_ids=track_ids)
        return fitting.FittedModel(model, {}, 1, {})

    def judge(snapshot, cut):
        chosen = judged(snapshot, cut)
        judgements.append((snapshot.interactions.take(chosen), snapshot))
        return chosen

    monkeypatch.setattr(fitting, "fit", fit)
    monkeypatch.setattr(training, "judged", judge)
    tracks = make_catalogue()
    make_listening(tracks)
    for _ in meanwhile(tracks):
        train_once()
    train_once()
    (_, first), (chosen, second) = judgements
    assert by_keys(chosen, second)
    assert by_keys(chosen, second).isdisjoint(by_keys(learned[0], first))
    assert by_keys(chosen, second).isdisjoint(by_keys(learned[1], second))
