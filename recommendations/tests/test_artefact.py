import dataclasses
import hashlib
import json

import numpy as np
import pytest

from recommendations.core import artefact
from recommendations.core.artefact import CorruptArtefact
from recommendations.tests.models import make_model


@pytest.fixture
def folder(tmp_path):
    artefact.save(tmp_path / "v1", make_model())
    return tmp_path / "v1"


def rewrite(folder, **changes):
    manifest = json.loads((folder / artefact.MANIFEST).read_text())
    manifest.update(changes)
    (folder / artefact.MANIFEST).write_text(json.dumps(manifest))


def test_a_model_comes_back_as_it_was(folder):
    before, after = make_model(), artefact.load(folder)
    history, liking = np.array([1, 4, 7]), np.array([1.0, 0.0, 0.5])
    here, there = before.listener(history, liking), after.listener(history, liking)
    assert there.user_vector.tolist() == here.user_vector.tolist()
    assert after.hybrid_scores(there).tolist() == before.hybrid_scores(here).tolist()
    rows = np.array([2, 3])
    assert (
        after.expected_rating(there, rows).tolist() == before.expected_rating(here, rows).tolist()
    )
    assert after.metadata == before.metadata
    assert after.row_of == before.row_of


def test_arrays_are_memory_mapped_and_cannot_be_written(folder):
    factors = artefact.load(folder).network.item_factors
    assert isinstance(factors.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        factors[0, 0] = 1


def test_a_version_is_never_overwritten(folder):
    with pytest.raises(FileExistsError):
        artefact.save(folder, make_model())


def test_a_model_that_is_not_finite_leaves_nothing_behind(tmp_path):
    model = make_model()
    model.popularity[3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity: popularity"):
        artefact.save(tmp_path / "v1", model)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_corrupt(tmp_path):
    with pytest.raises(CorruptArtefact, match="is missing"):
        artefact.load(tmp_path / "nothing")


def test_a_missing_array_is_corrupt(folder):
    (folder / "item_factors.npy").unlink()
    with pytest.raises(CorruptArtefact, match=r"item_factors\.npy is missing"):
        artefact.load(folder)


def test_a_truncated_array_is_corrupt(folder):
    path = folder / "item_factors.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CorruptArtefact, match="truncated or altered"):
        artefact.load(folder)


def test_one_altered_byte_is_corrupt(folder):
    path = folder / "item_hidden.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CorruptArtefact, match="truncated or altered"):
        artefact.load(folder)


def test_an_array_with_nan_is_corrupt_even_under_a_right_checksum(folder):
    path = folder / "popularity.npy"
    array = np.load(path)
    array[0] = np.nan
    np.save(path, array)
    manifest = json.loads((folder / artefact.MANIFEST).read_text())
    manifest["arrays"]["popularity"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(folder, arrays=manifest["arrays"])
    with pytest.raises(CorruptArtefact, match=r"popularity\.npy holds NaN or infinity"):
        artefact.load(folder)


def test_a_newer_schema_is_refused_not_guessed_at(folder):
    ours, newer = artefact.SCHEMA_VERSION, artefact.SCHEMA_VERSION + 1
    rewrite(folder, schema_version=newer)
    with pytest.raises(CorruptArtefact, match=f"has schema {newer}, this program reads {ours}"):
        artefact.load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": "one"}', "null"])
def test_a_manifest_that_is_none_is_corrupt(folder, text):
    (folder / artefact.MANIFEST).write_text(text)
    with pytest.raises(CorruptArtefact):
        artefact.load(folder)


def test_a_manifest_that_leaves_an_array_out_is_corrupt(folder):
    manifest = json.loads((folder / artefact.MANIFEST).read_text())
    del manifest["arrays"]["fusion"]
    rewrite(folder, arrays=manifest["arrays"])
    with pytest.raises(CorruptArtefact, match="do not fit"):
        artefact.load(folder)


def test_an_index_with_cells_comes_back_as_it_was(tmp_path):
    model = make_model(indexed=True)
    index = model.index.with_cells(np.random.default_rng(0), n_cells=3)
    artefact.save(tmp_path / "v2", dataclasses.replace(model, index=index))
    cells = artefact.load(tmp_path / "v2").index.cells
    assert cells.order.tolist() == index.cells.order.tolist()
    assert cells.centroids.tolist() == index.cells.centroids.tolist()
    assert cells.starts.tolist() == index.cells.starts.tolist()
