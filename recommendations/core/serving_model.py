"""The model as it serves: every strategy's scores for one listener, from arrays alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import AnyRows, Floats, SparseRows, SparseVector
from recommendations.core.calibration import Calibration
from recommendations.core.candidates import CandidateIndex
from recommendations.core.content import (
    ContentFeatures,
    ContentProfile,
    StatedTaste,
    content_profile,
    content_scores,
    matching_genres,
)
from recommendations.core.ensemble import Blend, Moments
from recommendations.core.evidence import Evidence, HistoryEvidence
from recommendations.core.fold_in import affinity
from recommendations.core.item_similarity import similar_tracks
from recommendations.core.neumf import NeuMF

EXACT_LIMIT = 50_000
"""Above so many tracks, the network scores candidates and not the whole catalogue."""

SCAN_LIMIT = 1_000_000
"""Above so many, candidates come from the index's cells and not from a scan of all tracks."""

N_CANDIDATES = 3_000
N_REFERENCE = 2_048

N_TOLD = 64
"""Tracks of which a listener keeps what there was to tell, those of the last few lists."""

N_CAUSES = 2
"""Tracks of the history that are named as the cause of another's score."""

Told = TypeVar("Told")


class Outlook(NamedTuple):
    """What a listener is expected to think of a track.

    Attributes:
        rating: the expected one, 1 to 5.
        confidence: probability that the true one lies within one star of it.
    """

    rating: float
    confidence: float


@dataclass(frozen=True, eq=False)
class Listener:
    """One listener as the model sees them; made by `ServingModel.listener`.

    Attributes:
        model: that they are seen by.
        track_rows: tracks responded to, shape (n,).
        preferences: in [0, 1], shape (n,).
        stated: what they say of themselves.
        user_vector: shape (user_dim,).
    """

    model: ServingModel
    track_rows: NDArray[np.int64]
    preferences: Floats
    stated: StatedTaste
    user_vector: Floats
    _outlooks: dict[int, Outlook] = field(default_factory=dict, init=False, repr=False)
    _causes: dict[int, list[Evidence]] = field(default_factory=dict, init=False, repr=False)

    def outlooks(self, rows: Sequence[int]) -> list[Outlook]:
        """Return what the listener is expected to think of each of some tracks."""
        return _told(self._outlooks, rows, self._new_outlooks)

    def causes(self, rows: Sequence[int]) -> list[list[Evidence]]:
        """Return the own tracks that raised each track's score most, at most `N_CAUSES`."""
        return _told(self._causes, rows, self._new_causes)

    def _new_outlooks(self, rows: AnyRows) -> Iterable[Outlook]:
        ratings = self.model.expected_rating(self, rows)
        confidences = self.model.confidence(self, rows, ratings)
        return map(Outlook, ratings.tolist(), confidences.tolist())

    def _new_causes(self, rows: AnyRows) -> Iterable[list[Evidence]]:
        return self.model.evidence(self, rows).nearest(limit=N_CAUSES)

    @cached_property
    def profile(self) -> ContentProfile:
        """Taste in terms of content."""
        return content_profile(self.model.content, self.track_rows, self.preferences, self.stated)

    @cached_property
    def linked(self) -> SparseVector:
        """Item-to-item scores, of which most tracks have none."""
        links = self.model.similarity.take(self.track_rows)
        return links.weighted_sum(affinity(self.preferences))

    @cached_property
    def neural(self) -> Floats:
        """The network's logit of every track, shape (n_tracks,); not to be written to."""
        scores = self.model.neural_scores(self.user_vector)
        scores.setflags(write=False)
        return scores

    @cached_property
    def hybrid(self) -> Floats:
        """The blended score of every track, shape (n_tracks,); not to be written to."""
        scores = self.model.hybrid_scores(self)
        scores.setflags(write=False)
        return scores

    @cached_property
    def moments(self) -> dict[str, Moments]:
        """Mean and deviation of each component of the blend, by `ensemble.COMPONENTS`.

        Over the same tracks for every call (a fixed sample of the catalogue, all of a small one),
        so that a track's score does not depend on which others are asked for.
        """
        sample = self.model.components(self, self.model.reference)
        # Most of these scores are 0, and a sample would miss those that are not.
        del sample["item_to_item"]
        moments = {name: Moments.of(scores) for name, scores in sample.items()}
        return moments | {"item_to_item": Moments.of_sparse(self.linked)}


@dataclass(frozen=True, eq=False)
class ServingModel:
    """Everything that serving needs of one trained model.

    Attributes:
        track_ids: database id of each row, shape (n_tracks,), int64.
        network: the neural collaborative filter.
        similarity: item-to-item weights, a row per history track.
        content: genres and audio features.
        content_projection: from content vector to factorization embedding, (n_features, dim).
        popularity: log share of listeners who know each track, shape (n_tracks,).
        track_counts: number of listeners who responded to each track, shape (n_tracks,).
        blend: weights of `hybrid_ensemble`.
        calibration: of rating and confidence.
        index: the first stage over a catalogue of more than `EXACT_LIMIT` tracks, else None.
        metadata: counts, metrics, configuration, seed: what the manifest holds beside arrays.
    """

    track_ids: NDArray[np.int64]
    network: NeuMF
    similarity: SparseRows
    content: ContentFeatures
    content_projection: Floats
    popularity: Floats
    track_counts: Floats
    blend: Blend
    calibration: Calibration
    index: CandidateIndex | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def n_tracks(self) -> int:
        """Number of tracks."""
        return len(self.track_ids)

    @property
    def user_dim(self) -> int:
        """Length of a listener's vector."""
        return self.network.user_dim

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Row of each track id."""
        return {int(track_id): row for row, track_id in enumerate(self.track_ids)}

    def fold_in(
        self,
        track_rows: AnyRows,
        preferences: NDArray[np.floating],
        stated: StatedTaste = StatedTaste(),  # noqa: B008 (frozen)
    ) -> Floats:
        """Return the vector of a listener, shape (user_dim,); deterministic, under 2 ms.

        Equal to the vector used in training for the same history.  With nothing known at all it
        is the average listener; a stated taste moves the prior towards tracks of that content.
        """
        return self.network.user_vector(
            track_rows, preferences, prior_mean=self._prior_mean(stated)
        )

    def listener(
        self,
        track_rows: AnyRows,
        preferences: NDArray[np.floating],
        *,
        stated: StatedTaste = StatedTaste(),  # noqa: B008 (frozen)
        user_vector: Floats | None = None,
    ) -> Listener:
        """Return a listener ready to be scored, folding in unless their vector is given."""
        rows = np.asarray(track_rows, np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= self.n_tracks):
            raise ValueError(f"track_rows must lie in [0, {self.n_tracks}), got {rows.max()}")
        liking = np.asarray(preferences, np.float32)
        if user_vector is None:
            user_vector = self.fold_in(rows, liking, stated)
        elif user_vector.shape != (self.user_dim,):
            raise ValueError(f"user_vector has shape {user_vector.shape}, not ({self.user_dim},)")
        return Listener(self, rows, liking, stated, user_vector)

    def neural_scores(self, user_vector: Floats, rows: AnyRows | None = None) -> Floats:
        """Return the network's logit per track (or for `rows`)."""
        return self.network.scores(user_vector, rows)

    def content_scores(self, listener: Listener, rows: AnyRows | None = None) -> Floats:
        """Return how well each track's content fits."""
        return content_scores(self.content, listener.profile, rows)

    def item_scores(self, listener: Listener) -> Floats:
        """Return each track's sum of item-to-item weights from the listener's history."""
        return listener.linked.dense()

    def hybrid_scores(self, listener: Listener, rows: AnyRows | None = None) -> Floats:
        """Return the blended score of every track, or of `rows`.

        Each component is standardised by the listener's moments of it.

        Args:
            listener: for whom.
            rows: which tracks; all if None.
        """
        return self.blend(self.components(listener, rows), listener.moments)

    def components(self, listener: Listener, rows: AnyRows | None = None) -> dict[str, Floats]:
        """Return every component's scores of all tracks or of `rows`, by `ensemble.COMPONENTS`."""
        linked = listener.linked
        if rows is None:
            neural = listener.neural
        elif self.index is None:
            neural = listener.neural[rows]  # asked for anyway, and kept
        else:
            neural = self.neural_scores(listener.user_vector, rows)
        scores = {
            "neural": neural,
            "item_to_item": linked.dense() if rows is None else linked.at(rows),
            "popularity": self.popularity if rows is None else self.popularity[rows],
        }
        if self.content.is_known:
            scores["content"] = self.content_scores(listener, rows)
        return scores

    def candidates(self, listener: Listener, *, n: int = N_CANDIDATES) -> NDArray[np.intp]:
        """Return the rows worth scoring, rising: all of them up to `EXACT_LIMIT` tracks.

        Above it, about `n` that the dot product suggests, and at most `n` of the history's
        neighbours.
        """
        if self.index is None:
            return np.arange(self.n_tracks)
        near = self.index.candidates(self.network.weighted_factors(listener.user_vector), n=n)
        linked = listener.linked
        neighbours = linked.columns[linked.values > 0]
        if len(neighbours) > n:
            strongest = np.argpartition(linked.values, len(linked.values) - n)[-n:]
            neighbours = linked.columns[strongest]
        return np.union1d(near, neighbours)

    def recall_of_candidates(self, listener: Listener, *, k: int, n: int = N_CANDIDATES) -> float:
        """Return which share of the network's best `k` tracks of all are among the candidates.

        Scores the whole catalogue, as serving does not.
        """
        scores = listener.neural
        best = np.argpartition(scores, len(scores) - k)[-k:]
        return float(np.isin(best, self.candidates(listener, n=n)).mean())

    def expected_rating(self, listener: Listener, rows: AnyRows) -> Floats:
        """Return the calibrated expected rating, 1 to 5, of each of `rows`."""
        return self.calibration.expected_rating(
            self.network.preferences(listener.user_vector, rows)
        )

    def confidence(self, listener: Listener, rows: AnyRows, ratings: Floats) -> Floats:
        """Return the probability that each rating is within one star of the truth."""
        return self.calibration.confidence_of(
            ratings, float(len(listener.track_rows)), self.track_counts[rows]
        )

    def similar(self, track_row: int, k: int) -> tuple[NDArray[np.intp], Floats]:
        """Return the `k` tracks most like one, best first, with their scores."""
        return similar_tracks(self.similarity, self.network.fold_in.embeddings, track_row, k=k)

    def evidence(self, listener: Listener, rows: AnyRows) -> HistoryEvidence:
        """Return what each track of the listener's history adds to the scores of some tracks.

        That is the item-to-item weight, and the track's share of the dot product of the
        factorization branch, both in standard deviations as blended.

        Args:
            listener: whose history.
            rows: the tracks scored, each once, shape (k,).
        """
        history, liking = listener.track_rows, listener.preferences
        contributions = self.network.contributions(history, liking, rows)
        contributions *= np.float32(self.blend.neural / listener.moments["neural"].deviation)
        deviation = listener.moments["item_to_item"].deviation
        pulls = affinity(liking) * np.float32(self.blend.item_to_item / deviation)
        contributions += pulls[:, None] * self.similarity.block(history, rows)
        return HistoryEvidence(history, rows, contributions)

    def matching_genres(self, listener: Listener, track_row: int, *, limit: int = 3) -> list[str]:
        """Return the track's genres that the listener likes, most liked first."""
        return matching_genres(self.content, listener.profile, track_row, limit=limit)

    @cached_property
    def reference(self) -> NDArray[np.intp] | None:
        """Rows spread evenly over the catalogue, over which moments are taken; None for all."""
        if self.n_tracks <= N_REFERENCE:
            return None
        return np.linspace(0, self.n_tracks - 1, N_REFERENCE).astype(np.intp)

    def _prior_mean(self, stated: StatedTaste) -> Floats | None:
        """Return the embedding that the stated taste alone would fold in to."""
        if not stated:
            return None
        nothing = np.empty(0, np.int64)
        profile = content_profile(self.content, nothing, nothing.astype(np.float32), stated)
        wanted = np.concatenate([profile.genres, profile.audio * profile.audio_strength])
        pseudo_track = (wanted.astype(np.float32) @ self.content_projection)[None, :]
        return self.network.fold_in.from_pseudo_tracks(pseudo_track)


def _told(
    told: dict[int, Told], rows: Sequence[int], tell: Callable[[AnyRows], Iterable[Told]]
) -> list[Told]:
    """Return what `tell` tells of each of `rows`, asked only for those not told of before.

    Lists between two responses show much the same tracks, and to tell of them costs more than to
    choose them.  Threads may share `told`: what another one empties is told anew.
    """
    known = {row: found for row in rows if (found := told.get(row)) is not None}
    if missing := [row for row in rows if row not in known]:
        known.update(zip(missing, tell(np.array(missing, np.intp)), strict=True))
        if len(told) + len(missing) > N_TOLD:
            told.clear()
        told.update(known)
    return [known[row] for row in rows]
