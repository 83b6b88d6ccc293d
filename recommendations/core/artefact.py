"""A trained model as a folder: one `.npy` per array, and a manifest that vouches for them.

Arrays are memory-mapped, so web processes on one machine share their pages; nothing is pickled.
`save` is atomic: readers see the whole folder or none of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import SparseRows
from recommendations.core.calibration import Calibration, MonotoneCurve
from recommendations.core.candidates import CandidateIndex, Cells
from recommendations.core.content import ContentFeatures
from recommendations.core.ensemble import Blend
from recommendations.core.fold_in import FoldIn
from recommendations.core.neumf import NeuMF
from recommendations.core.serving_model import ServingModel

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"

Arrays = dict[str, NDArray[Any]]


class CorruptArtefact(ValueError):
    """A model folder that must not be served, with the reason in plain words."""


def save(folder: Path, model: ServingModel) -> None:
    """Write a model to a new folder, atomically.

    Raises:
        FileExistsError: the folder exists; a version is never overwritten.
        ValueError: an array holds NaN or infinity.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    arrays, constants = _to_arrays(model)
    unsound = [name for name, array in arrays.items() if not _is_finite(array)]
    if unsound:
        raise ValueError(f"arrays hold NaN or infinity: {', '.join(unsound)}")
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        described = {}
        for name, array in arrays.items():
            path = temporary / f"{name}.npy"
            with path.open("wb") as file:
                _write(file, np.ascontiguousarray(array))
                _flush(file)
            described[name] = {
                "sha256": _sha256(path),
                "shape": list(array.shape),
                "dtype": array.dtype.str,
            }
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "constants": constants,
            "metadata": dict(model.metadata),
            "arrays": described,
        }
        with (temporary / MANIFEST).open("w", encoding="utf-8") as text:
            json.dump(manifest, text, indent=1, allow_nan=False)
            _flush(text)
        temporary.chmod(0o755)
        _flush_folder(temporary)
        temporary.rename(folder)
        _flush_folder(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def load(folder: Path) -> ServingModel:
    """Return the model in a folder, its arrays memory-mapped, after checking every byte.

    Raises:
        CorruptArtefact: a file is missing, truncated, altered, not finite, or of a newer schema.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        described = manifest["arrays"]
        arrays = {name: _load_array(folder, name, about) for name, about in described.items()}
        return _from_arrays(arrays, manifest["constants"], manifest["metadata"])
    except CorruptArtefact:
        raise
    except OSError as error:
        raise CorruptArtefact(f"{folder} cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise CorruptArtefact(f"{folder}: the manifest and arrays do not fit: {error!r}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a folder's manifest, its schema checked but not its arrays.

    Raises:
        CorruptArtefact: it is missing, not JSON, or of a newer schema.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorruptArtefact(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise CorruptArtefact(f"{path} cannot be read: {error}") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise CorruptArtefact(f"{path} names no schema version")
    if version != SCHEMA_VERSION:
        raise CorruptArtefact(f"{path} has schema {version}, this program reads {SCHEMA_VERSION}")
    checked: dict[str, Any] = manifest
    return checked


def _load_array(folder: Path, name: str, about: Mapping[str, Any]) -> NDArray[Any]:
    path = folder / f"{name}.npy"
    if not path.is_file():
        raise CorruptArtefact(f"{path} is missing")
    if _sha256(path) != about["sha256"]:
        raise CorruptArtefact(f"{path} does not match its checksum: it is truncated or altered")
    try:
        # The plain view of it: slicing a `memmap` costs twenty times as much.
        array: NDArray[Any] = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise CorruptArtefact(f"{path} cannot be read: {error}") from error
    if list(array.shape) != about["shape"] or array.dtype.str != about["dtype"]:
        raise CorruptArtefact(f"{path} has another shape or type than the manifest says")
    if not _is_finite(array):
        raise CorruptArtefact(f"{path} holds NaN or infinity")
    return array


def _to_arrays(model: ServingModel) -> tuple[Arrays, dict[str, Any]]:
    network, fold_in = model.network, model.network.fold_in
    arrays: Arrays = {
        "track_ids": np.asarray(model.track_ids, np.int64),
        "item_factors": network.item_factors,
        "fold_in_embeddings": fold_in.embeddings,
        "item_gram": fold_in.gram,
        "prior_mean": fold_in.prior_mean,
        "fusion": network.fusion,
        "item_bias": network.item_bias,
        "history_embeddings": network.history_embeddings,
        "user_hidden": network.user_hidden,
        "item_hidden": network.item_hidden,
        "output": network.output,
        "rating_head": network.rating,
        "rating_blend": network.rating_blend,
        "item_mean": network.item_mean,
        "similarity_starts": model.similarity.starts,
        "similarity_columns": model.similarity.columns,
        "similarity_values": model.similarity.values,
        "genre_starts": model.content.genres.starts,
        "genre_columns": model.content.genres.columns,
        "genre_values": model.content.genres.values,
        "audio": model.content.audio,
        "audio_mean": model.content.audio_mean,
        "audio_scale": model.content.audio_scale,
        "content_projection": model.content_projection,
        "popularity": model.popularity,
        "track_counts": model.track_counts,
        "rating_x": model.calibration.rating.x,
        "rating_y": model.calibration.rating.y,
        "confidence_coefficients": model.calibration.coefficients,
        "confidence_x": model.calibration.confidence.x,
        "confidence_y": model.calibration.confidence.y,
    }
    for i, (weights, bias) in enumerate(network.layers):
        arrays[f"layer_{i}_weights"] = weights
        arrays[f"layer_{i}_bias"] = bias
    if model.index is not None:
        arrays["index_tracks"] = model.index.tracks
        arrays["index_basis"] = model.index.basis
        if (cells := model.index.cells) is not None:
            arrays["cell_centroids"] = cells.centroids
            arrays["cell_order"] = cells.order
            arrays["cell_starts"] = cells.starts
    constants: dict[str, Any] = {
        "n_layers": len(network.layers),
        "mean_preference": network.mean_preference,
        "unobserved_weight": fold_in.unobserved_weight,
        "regularization": fold_in.regularization,
        "genre_names": list(model.content.genre_names),
        "blend": vars(model.blend),
    }
    return arrays, constants


def _from_arrays(
    a: Arrays, constants: Mapping[str, Any], metadata: Mapping[str, Any]
) -> ServingModel:
    n_tracks = len(a["track_ids"])
    names = tuple(constants["genre_names"])
    content = ContentFeatures(
        genres=SparseRows(
            a["genre_starts"],
            a["genre_columns"],
            a["genre_values"],
            len(names),
        ),
        genre_names=names,
        audio=a["audio"],
        audio_mean=a["audio_mean"],
        audio_scale=a["audio_scale"],
    )
    network = NeuMF(
        item_factors=a["item_factors"],
        fold_in=FoldIn(
            embeddings=a["fold_in_embeddings"],
            gram=a["item_gram"],
            prior_mean=a["prior_mean"],
            unobserved_weight=float(constants["unobserved_weight"]),
            regularization=float(constants["regularization"]),
        ),
        fusion=a["fusion"],
        item_bias=a["item_bias"],
        history_embeddings=a["history_embeddings"],
        user_hidden=a["user_hidden"],
        item_hidden=a["item_hidden"],
        layers=tuple(
            (a[f"layer_{i}_weights"], a[f"layer_{i}_bias"])
            for i in range(int(constants["n_layers"]))
        ),
        output=a["output"],
        rating=a["rating_head"],
        rating_blend=a["rating_blend"],
        item_mean=a["item_mean"],
        mean_preference=float(constants["mean_preference"]),
    )
    return ServingModel(
        track_ids=a["track_ids"],
        network=network,
        similarity=SparseRows(
            a["similarity_starts"],
            a["similarity_columns"],
            a["similarity_values"],
            n_tracks,
        ),
        content=content,
        content_projection=a["content_projection"],
        popularity=a["popularity"],
        track_counts=a["track_counts"],
        blend=Blend(**constants["blend"]),
        calibration=Calibration(
            rating=MonotoneCurve(a["rating_x"], a["rating_y"]),
            coefficients=a["confidence_coefficients"],
            confidence=MonotoneCurve(a["confidence_x"], a["confidence_y"]),
        ),
        index=(
            CandidateIndex(
                a["index_tracks"],
                a["index_basis"],
                a["item_bias"],
                Cells(a["cell_centroids"], a["cell_order"], a["cell_starts"])
                if "cell_order" in a
                else None,
            )
            if "index_tracks" in a
            else None
        ),
        metadata=metadata,
    )


def _is_finite(array: NDArray[Any]) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(file: IO[bytes], array: NDArray[Any]) -> None:
    """Write an array as ``.npy``; numpy's own way hides why a disk takes no more."""
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.reshape(-1).view(np.uint8).data)


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
