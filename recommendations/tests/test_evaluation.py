import gzip
import json

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from recommendations.tests.models import make_model
from recommendations.training import evaluation
from recommendations.training.catalogue_file import read_catalogue_file, read_listening
from recommendations.training.cross_validation import stratified_folds
from recommendations.training.evaluation import measure, read_interactions, read_split


def write(path, text):
    path.write_text(text)
    return path


@pytest.fixture
def files(tmp_path):
    return {
        "train": write(tmp_path / "train.csv", "user_id,track_id\na,x\na,y\nb,x\n"),
        "test": write(tmp_path / "test.csv", "user_id,track_id\na,z\nb,z\n"),
        "candidates": write(tmp_path / "cand.csv", "user_id,track_id\na,w\na,v\nb,y\nb,v\n"),
        "exclude": write(tmp_path / "valid.csv", "user_id,track_id\nb,y\n"),
    }


def fixed(scores):
    """A strategy that scores the tracks, by external id, alike for everybody."""
    return lambda split: (
        lambda model, listener: np.array([scores[track] for track in split.track_ids], np.float32)
    )


def test_full_ranking_leaves_out_training_and_excluded_items(files):
    split = read_split(files["train"], files["test"], exclude=files["exclude"])
    model = make_model(n_tracks=len(split.track_ids))
    strategy = fixed({"x": 3, "y": 2, "z": 1})(split)
    found = measure(model, split, strategy, ks=[1])
    # Only z is left for either listener.
    assert found["ndcg@1"] == found["recall@1"] == found["hr@1"] == 1
    assert found["users"] == 2
    without = read_split(files["train"], files["test"])
    found = measure(model, without, strategy, ks=[1])
    assert found["hr@1"] == 0.5  # y stands above z for b


def test_candidates_are_what_the_test_item_is_ranked_against_and_ties_count_against_us(files):
    split = read_split(files["train"], files["test"], candidates=files["candidates"])
    model = make_model(n_tracks=len(split.track_ids))
    strategy = fixed({"x": 9, "y": 0, "z": 1, "w": 1, "v": 0})(split)
    found = measure(model, split, strategy, ks=[1, 2])
    # For a, w ties with z: rank 2; for b, z is first.
    assert found["hr@1"] == 0.5
    assert found["hr@2"] == 1
    assert found["ndcg@2"] == pytest.approx((1 / np.log2(3) + 1) / 2)


def test_a_test_track_without_candidates_is_no_cheap_hit(files, tmp_path):
    only_a = write(tmp_path / "only_a.csv", "user_id,track_id\na,w\n")
    split = read_split(files["train"], files["test"], candidates=only_a)
    model = make_model(n_tracks=len(split.track_ids))
    strategy = fixed({"x": 9, "y": 0, "z": 1, "w": 1})(split)
    with pytest.raises(ValueError, match="user 'b' has a test track but no candidates"):
        measure(model, split, strategy, ks=[1])


def test_k_larger_than_the_catalogue_ranks_what_there_is(files):
    split = read_split(files["train"], files["test"])
    model = make_model(n_tracks=len(split.track_ids))
    found = measure(model, split, fixed({"x": 3, "y": 2, "z": 1})(split), ks=[50])
    assert found["recall@50"] == 1


def test_users_without_test_items_do_not_count(files, tmp_path):
    only_a = write(tmp_path / "a.csv", "user_id,track_id\na,z\n")
    split = read_split(files["train"], only_a)
    model = make_model(n_tracks=len(split.track_ids))
    assert measure(model, split, fixed({"x": 1, "y": 1, "z": 1})(split), ks=[1])["users"] == 1


def test_compressed_files_are_read_alike(tmp_path, files):
    packed = tmp_path / "train.csv.gz"
    packed.write_bytes(gzip.compress(files["train"].read_bytes()))
    assert evaluation.read_pairs(packed) == evaluation.read_pairs(files["train"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,track\n1,2\n", "no column 'user_id'"),
        ("", "no column 'user_id'"),
        ("user_id,track_id\n1\n", "line 2: expected 2 columns, got 1"),
        ("user_id,track_id\n", "holds no pairs"),
    ],
)
def test_a_file_that_is_no_split_is_refused_by_name_and_line(tmp_path, files, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_split(write(tmp_path / "bad.csv", text), files["test"])
    assert "bad.csv" in str(error.value)


def test_ratings_or_plays_become_preferences(tmp_path):
    rated = read_interactions(write(tmp_path / "r.csv", "user_id,track_id,rating\na,x,5\na,y,1\n"))
    assert dict(zip(rated.track_rows.tolist(), rated.preference.tolist(), strict=True)) == {
        0: 1.0,
        1: 0.0,
    }
    played = read_interactions(write(tmp_path / "p.csv", "user_id,track_id,plays\na,x,90\na,y,1\n"))
    assert played.preference.tolist() == [0.875, 0.625]


TRACKS = (
    "track_id,artist,genres,popularity,duration_ms,danceability,energy,valence,acousticness,"
    "liveness,speechiness,loudness_db,tempo_bpm\n"
    "x,A,rock;pop,,,0.1,0.2,0.3,0.4,0.5,0.6,-7,120\n"
    "y,B,,10,1000,,0.4,0.3,0.4,0.5,0.6,-7,120\n"
)


def test_a_catalogue_file_gives_content_in_its_own_order(tmp_path):
    tracks = write(tmp_path / "tracks.csv", TRACKS)
    listens = write(tmp_path / "listens.csv", "user_id,track_id,plays\na,y,3\nb,x,1\n")
    pairs, content = read_listening(listens, tracks)
    assert pairs.track_rows.tolist() == [1, 0]
    assert content.genre_names == ("pop", "rock")
    assert [len(content.genres.row(row)[0]) for row in (0, 1)] == [2, 0]
    assert np.isnan(read_catalogue_file(tracks).audio[1, 0])


def test_a_listen_of_a_track_outside_the_catalogue_is_refused(tmp_path):
    tracks = write(tmp_path / "tracks.csv", TRACKS)
    listens = write(tmp_path / "listens.csv", "user_id,track_id\na,z\n")
    with pytest.raises(ValueError, match="track 'z' is not in the catalogue"):
        read_listening(listens, tracks)


def test_a_number_that_is_none_is_refused_by_column(tmp_path):
    tracks = write(tmp_path / "tracks.csv", TRACKS.replace("-7", "loud"))
    with pytest.raises(ValueError, match="column loudness_db: could not convert"):
        read_catalogue_file(tracks)


def test_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path):
    path = tmp_path / "bom.csv"
    path.write_bytes(b"\xef\xbb\xbfuser_id,track_id,plays\r\na,x,3\r\n\r\n")
    assert evaluation.read_pairs(path) == [("a", "x")]


def test_folds_spread_every_rating_evenly():
    ratings = np.repeat([1, 2, 5], [10, 30, 60])
    folds = stratified_folds(ratings, n_folds=5, rng=np.random.default_rng(0))
    for rating, count in ((1, 2), (2, 6), (5, 12)):
        assert np.bincount(folds[ratings == rating]).tolist() == [count] * 5


@pytest.mark.parametrize("n_folds", [1, 11])
def test_an_impossible_number_of_folds_is_refused(n_folds):
    with pytest.raises(ValueError, match=r"folds must lie in \[2, 10\]"):
        stratified_folds(np.ones(10), n_folds=n_folds, rng=np.random.default_rng(0))


def test_an_unknown_strategy_is_refused_before_anything_is_trained(files):
    with pytest.raises(CommandError, match="unknown strategy 'oracle'"):
        call_command("evaluate", train=files["train"], test=files["test"], strategies=["oracle"])


def test_the_command_prints_one_json_object_with_popularity_beside(files, capsys):
    call_command(
        "evaluate", train=files["train"], test=files["test"], strategies=["neural_cf"], json=True
    )
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"neural_cf", "popularity"}
    assert {"ndcg@10", "recall@20", "seconds", "peak_memory_mb"} <= printed["neural_cf"].keys()
