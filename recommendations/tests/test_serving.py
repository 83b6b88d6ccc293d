"""What serves is what was promoted, or else something that can; a list is full in any case."""

import hashlib
import json
import shutil
import threading
import time
from datetime import timedelta
from io import BytesIO

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.db import connection

from accounts.services import set_preferences
from accounts.vocabulary import Mood
from recommendations.core.artefact import MANIFEST, CorruptArtefact
from recommendations.models import ModelVersion, ServingState, Taste
from recommendations.services import train as training
from recommendations.services.catalogue import touch_catalogue
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.serving import state
from recommendations.tests.factories import (
    NOW,
    make_catalogue,
    make_feedback,
    make_feedback_row,
    make_listener,
    make_track,
    make_version,
    serve_all_by,
)
from recommendations.tests.small_world import genre_of

STRATEGIES = ["neural_cf", "content_based", "hybrid_ensemble", "trending", "discovery"]
MODELLED = ["neural_cf", "hybrid_ensemble"]


def ask(listener, strategy="neural_cf", n=10, **wishes):
    return recommend(
        listener=listener, wishes=Wishes(n=n, **wishes), at=NOW, strategy=strategy, record=False
    )


def ids(answer):
    return [item.track_id for item in answer.items]


@pytest.fixture
def rock_listener(tracks):
    """A listener who rated six tracks of one genre 5."""
    listener = make_listener()
    for track in tracks[1:19:3]:
        make_feedback(listener=listener, track=track, kind="rating", rating=5)
    return listener


@pytest.fixture
def at_once(settings):
    """Look at the database with every request, so that a test need not wait a second."""
    settings.MUSICREC = {**settings.MUSICREC, "REFRESH_SECONDS": 0}


# -- a model serves ------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["neural_cf", "content_based", "hybrid_ensemble"])
def test_who_likes_rock_gets_rock_and_reads_why(rock_listener, version, strategy):
    answer = ask(rock_listener, strategy)
    assert answer.recommendation.strategy == strategy
    assert answer.recommendation.fallback == ""
    rock = [item for item in answer.items if item.genres == ("rock",)]
    assert len(rock) >= 8
    rated = {f"Song {number}" for number in range(1, 19, 3)}
    if strategy == "content_based":
        assert rock[0].explanation == "because you listen to rock"
    else:
        assert any(name in rock[0].explanation for name in rated)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("n", [1, 10, 54])
def test_every_strategy_gives_a_full_list_without_repeats(rock_listener, version, strategy, n):
    chosen = ids(ask(rock_listener, strategy, n))
    assert len(set(chosen)) == len(chosen) == n
    assert not {f"t{number}" for number in range(1, 19, 3)} & set(chosen)


def test_at_most_two_tracks_of_an_artist(rock_listener, version, settings):
    settings.MUSICREC = {**settings.MUSICREC, "MAX_PER_ARTIST": 1}
    artists = [item.artist for item in ask(rock_listener, n=20).items]
    assert len(set(artists)) == 20


def test_a_mood_moves_the_list_towards_its_energy(rock_listener, version):
    order = {"jazz": 0, "rock": 1, "techno": 2}  # by energy
    energy = {f"t{number}": order[genre_of(number)] for number in range(60)}

    def level(mood):
        answer = ask(rock_listener, "trending", 20, mood=Mood(mood))
        return sum(energy[track] for track in ids(answer))

    assert level("angry") > level("calm")


# -- what a listener says counts before they do anything -----------------------------------------


@pytest.mark.parametrize("strategy", ["neural_cf", "content_based", "hybrid_ensemble"])
def test_stated_genres_make_the_first_list(version, strategy):
    answer = ask(make_listener(genres=["techno"]), strategy)
    assert sum(item.genres == ("techno",) for item in answer.items) >= 8


def test_preferences_set_after_the_first_list_change_the_next(version):
    listener = make_listener(genres=["techno"])
    before = ids(ask(listener))
    set_preferences(listener=listener, genres=["jazz"])
    listener.refresh_from_db()
    after = ask(listener)
    assert ids(after) != before
    assert sum(item.genres == ("jazz",) for item in after.items) >= 8


# -- something is missing ------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_a_model_the_list_is_full_and_says_so(tracks, rock_listener, strategy):
    answer = ask(rock_listener, strategy)
    assert len(answer.items) == 10
    row = answer.recommendation
    if strategy in MODELLED:
        assert (row.strategy, row.fallback) == ("content_based", "no_model")
    else:
        assert (row.strategy, row.fallback) == (strategy, "")
    assert row.model_version is None
    assert {item.prediction_score for item in answer.items} == {None}


@pytest.mark.parametrize("strategy", ["neural_cf", "content_based", "hybrid_ensemble"])
def test_of_whom_nothing_is_known_gets_what_is_trending(version, strategy):
    row = ask(make_listener(), strategy).recommendation
    assert (row.strategy, row.fallback) == ("trending", "unknown_listener")
    assert len(row.tracks) == 10


def test_where_everything_was_heard_the_list_is_full_all_the_same(tracks, version):
    listener = make_listener()
    for track in tracks:
        make_feedback_row(listener=listener, track=track, at=NOW)
    answer = ask(listener)
    assert len(answer.items) == 10
    assert answer.recommendation.fallback == "too_few_tracks:heard"


def test_a_track_heard_long_ago_may_come_again(tracks, version, settings):
    listener = make_listener()
    long_ago = NOW - settings.MUSICREC["REPEAT_DELAY"] - timedelta(days=1)
    for track in tracks[1:40:3]:
        make_feedback_row(listener=listener, track=track, at=long_ago)
    assert {f"t{number}" for number in range(1, 40, 3)} & set(ids(ask(listener)))


@pytest.mark.django_db
def test_a_policy_that_is_no_strategy_gets_a_list_all_the_same(version):
    serve_all_by("no such")
    answer = recommend(listener=make_listener(genres=["rock"]), wishes=Wishes(), at=NOW)
    row = answer.recommendation
    assert len(answer.items) == 10
    assert (row.chosen_strategy, row.fallback) == ("no such", "unknown_strategy")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc", "x" * 64])
def test_a_time_zone_that_is_none_is_no_error(version, zone):
    serve_all_by("contextual_bandit")
    listener = make_listener(time_zone=zone)
    assert len(recommend(listener=listener, wishes=Wishes(), at=NOW).items) == 10


def test_a_track_the_model_does_not_know_can_be_recommended_by_content(version):
    new = make_track(track_id="new", artist="New", genres=["rock"], energy=0.6)
    touch_catalogue()
    state.forget()
    listener = make_listener(genres=["rock"])
    assert "new" in ids(ask(listener, "content_based", 30))
    known = ask(listener, "neural_cf", 61)
    assert ids(known)[-1] == "new"  # the network has no opinion: it comes last, but it comes
    assert known.items[-1].prediction_score is None
    make_feedback(listener=listener, track=new, kind="rating", rating=5)
    assert len(ask(listener, "hybrid_ensemble").items) == 10


def test_a_track_that_is_no_longer_active_is_gone(tracks, version):
    gone = tracks[1]
    gone.is_active = False
    gone.save()
    touch_catalogue()
    state.forget()
    listener = make_listener(genres=["rock"])
    make_feedback(listener=listener, track=gone)
    for strategy in STRATEGIES:
        answer = ask(listener, strategy, 59)
        assert len(answer.items) == 59
        assert gone.track_id not in ids(answer)


# -- damage --------------------------------------------------------------------------------------


def folder_of(version):
    return django_settings.MODELS_DIR / version.folder


def remove_folder(version):
    shutil.rmtree(folder_of(version))


def remove_array(version):
    (folder_of(version) / "item_bias.npy").unlink()


def truncate_array(version):
    path = folder_of(version) / "item_factors.npy"
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(version):
    path = folder_of(version) / "item_factors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def break_manifest(version):
    (folder_of(version) / MANIFEST).write_text("{")


def make_manifest_a_folder(version):
    (folder_of(version) / MANIFEST).unlink()
    (folder_of(version) / MANIFEST).mkdir()


def vouch_for(version, name, content):
    """Put content into an array's place and register it as if it had been so from the start."""
    folder = folder_of(version)
    (folder / f"{name}.npy").write_bytes(content)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["arrays"][name]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    ModelVersion.objects.filter(pk=version.pk).update(manifest_sha256=state.manifest_sha256(folder))


def put_nan(version):
    path = folder_of(version) / "item_factors.npy"
    array = np.load(path)
    array[0, 0] = np.nan
    content = BytesIO()
    np.save(content, array)
    vouch_for(version, "item_factors", content.getvalue())


def put_a_pickle(version):
    content = BytesIO()
    np.save(content, np.array([{"a": 1}], object), allow_pickle=True)
    vouch_for(version, "item_bias", content.getvalue())


DAMAGES = [
    remove_folder,
    remove_array,
    truncate_array,
    flip_a_bit,
    break_manifest,
    make_manifest_a_folder,
    put_nan,
    put_a_pickle,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_model_gives_way_to_the_one_before(tracks, trained, damage):
    before, damaged = make_version(trained, tracks), make_version(trained, tracks)
    damage(damaged)
    with pytest.raises(CorruptArtefact):
        state.load_version(ModelVersion.objects.get(pk=damaged.pk))
    listener = make_listener(genres=["rock"])
    for strategy in MODELLED:
        row = ask(listener, strategy).recommendation
        assert (row.strategy, row.fallback) == (strategy, "previous_model")
        assert row.model_version_id == before.pk
        assert len(row.tracks) == 10
    assert ask(listener, "content_based").recommendation.fallback == ""


def test_a_model_whose_files_are_back_serves_again_without_a_promotion(
    tracks, trained, settings, monkeypatch
):
    make_version(trained, tracks)
    version = make_version(trained, tracks)
    path = folder_of(version) / "item_factors.npy"
    whole = path.read_bytes()
    truncate_array(version)
    assert ask(make_listener(genres=["rock"])).recommendation.fallback == "previous_model"
    path.write_bytes(whole)
    monkeypatch.setattr(state, "TREND_SECONDS", 0.0)
    settings.MUSICREC = {**settings.MUSICREC, "REFRESH_SECONDS": 0.0}
    row = ask(make_listener(genres=["rock"]), "neural_cf").recommendation
    assert (row.fallback, row.model_version_id) == ("", version.pk)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_where_no_model_can_be_loaded_lists_come_from_content(version, damage):
    damage(version)
    row = ask(make_listener(genres=["rock"])).recommendation
    assert (row.strategy, row.fallback) == ("content_based", "no_usable_model")
    assert len(row.tracks) == 10
    assert ask(make_listener()).recommendation.strategy == "trending"


def test_a_damaged_model_is_not_promoted(tracks, version, trained):
    damaged = make_version(trained, tracks, promoted=False)
    truncate_array(damaged)
    with pytest.raises(training.NotServable, match="checksum"):
        training.promote(damaged, at=NOW)
    assert ServingState.objects.get().model_version == version


# -- changing models -----------------------------------------------------------------------------


def test_rolling_back_serves_the_model_before_and_forth_again(tracks, trained, at_once):
    first, second = make_version(trained, tracks), make_version(trained, tracks)
    listener = make_listener(genres=["rock"])

    def serving():
        return ask(listener).recommendation.model_version_id

    assert serving() == second.pk
    assert training.roll_back(at=NOW) == first
    assert serving() == first.pk
    assert training.roll_back(at=NOW) == second
    assert serving() == second.pk


def test_without_a_model_before_there_is_nothing_to_go_back_to(version):
    with pytest.raises(training.NotServable, match="no earlier model"):
        training.roll_back(at=NOW)


def test_a_taste_is_folded_again_for_another_model_and_kept(
    rock_listener, tracks, trained, at_once
):
    first = make_version(trained, tracks)
    answer = ask(rock_listener)
    taste = Taste.objects.get(listener=rock_listener)
    assert taste.model_version == first
    vector = bytes(taste.vector)
    second = make_version(trained, tracks)
    assert ids(ask(rock_listener)) == ids(answer)  # the same arrays under another number
    taste.refresh_from_db()
    assert (taste.model_version, bytes(taste.vector)) == (second, vector)
    # What a response folded in is not folded again by a list.
    stamp = taste.updated_at
    ask(rock_listener)
    taste.refresh_from_db()
    assert taste.updated_at == stamp


def test_a_taste_folded_by_a_response_is_the_one_folded_from_scratch(
    rock_listener, tracks, version
):
    make_feedback(listener=rock_listener, track=tracks[0], kind="dislike")
    kept = np.frombuffer(Taste.objects.get(listener=rock_listener).vector, "<f4")
    Taste.objects.update(model_version=None, vector=b"")
    ask(rock_listener)
    again = np.frombuffer(Taste.objects.get(listener=rock_listener).vector, "<f4")
    assert np.allclose(kept, again, atol=1e-5)


@pytest.mark.usefixtures("committed")
def test_a_promoted_model_serves_within_two_seconds_and_no_request_fails(trained):
    tracks = make_catalogue()
    first = make_version(trained, tracks)
    listener = make_listener(genres=["rock"])
    seen, errors = [], []
    stop = threading.Event()

    def serve():
        try:
            while not stop.is_set():
                row = ask(listener).recommendation
                seen.append((time.monotonic(), row.model_version_id, len(row.tracks)))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        second = make_version(trained, tracks)
        promoted = time.monotonic()
        deadline = promoted + 20
        while not any(version == second.pk for _, version, _ in list(seen)):
            assert time.monotonic() < deadline, "the new model never served"
            assert all(thread.is_alive() for thread in threads), errors
            ask(listener)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
    assert errors == []
    assert {n for _, _, n in seen} == {10}
    assert {version for _, version, _ in seen} == {first.pk, second.pk}
    late = [at - promoted for at, version, _ in seen if version == first.pk and at > promoted]
    assert max(late, default=0) < 2


# -- what is shown of whom -----------------------------------------------------------------------


def test_the_front_page_shows_a_list_of_a_simulated_listener_alone(client, tracks):
    make_listener(genres=["rock"])
    html = {"accept": "text/html"}
    assert "Song " not in client.get("/", headers=html).content.decode()
    make_listener(is_simulated=True)
    assert "Song " in client.get("/", headers=html).content.decode()


def test_a_page_with_simulated_listeners_says_so(client, tracks):
    make_listener(is_simulated=True)
    page = client.get("/", headers={"accept": "text/html"}).content.decode()
    assert "Simulated listeners" in page
