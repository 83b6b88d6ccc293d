"""A model in memory, and where its tracks stand in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.core.serving_model import ServingModel
from recommendations.serving.catalogue import Catalogue


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in memory, with where its tracks stand in the catalogue.

    Attributes:
        version: primary key of the `ModelVersion`.
        model: its arrays.
        rows: row in the catalogue of each of the model's tracks, -1 where it is not active.
        model_rows: row in the model of each track of the catalogue, -1 where it is newer.
    """

    version: int
    model: ServingModel
    rows: NDArray[np.intp]
    model_rows: NDArray[np.intp]

    def rows_in_model(self, catalogue_rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the row in the model of rows of the catalogue, -1 for -1 and for newer tracks."""
        rows = np.full(len(catalogue_rows), -1, np.intp)
        active = catalogue_rows >= 0
        rows[active] = self.model_rows[catalogue_rows[active]]
        return rows

    def spread(self, values: NDArray[np.floating], fill: float) -> NDArray[np.float32]:
        """Return the model's values per track in the catalogue's order, `fill` for the others."""
        known = self.model_rows >= 0
        spread = np.full(len(self.model_rows), fill, np.float32)
        spread[known] = values[self.model_rows[known]]
        return spread


def align(version: int, model: ServingModel, catalogue: Catalogue) -> LoadedModel:
    """Find the model's tracks in the catalogue."""
    rows = catalogue.rows_of(model.track_ids)
    model_rows = np.full(len(catalogue), -1, np.intp)
    known = rows >= 0
    model_rows[rows[known]] = np.flatnonzero(known)
    return LoadedModel(version, model, rows, model_rows)
