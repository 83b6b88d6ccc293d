"""The five ways to rank tracks. Each scores the whole catalogue and explains what it chose.

To add one: write a class with the members of `Strategy`, put an instance into `STRATEGIES`, and
give the bandit an arm of that name; `docs/strategies.md` goes through it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recommendations.core.arrays import Floats
from recommendations.core.content import AUDIO_FEATURES, matching_genres
from recommendations.core.serving_model import Listener
from recommendations.serving.catalogue import Catalogue
from recommendations.serving.loaded import LoadedModel
from recommendations.serving.portraits import Portrait
from recommendations.serving.state import Stage

_AUDIO_COLUMN = {name: column for column, name in enumerate(AUDIO_FEATURES)}

KNOWN = 1e-3
"""Weight of popularity where it only breaks ties."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One listener in front of one stage: what a strategy ranks from.

    Attributes:
        stage: catalogue, model and trend.
        portrait: the listener, as catalogue and model show them.
        adventure: 0 familiar to 1 adventurous; the dial of `discovery`.
    """

    stage: Stage
    portrait: Portrait
    adventure: float = 0.5

    @property
    def catalogue(self) -> Catalogue:
        """The tracks to rank."""
        return self.stage.catalogue


class Reason(NamedTuple):
    """One thing that raised a track's score.

    Attributes:
        signal: what it is, for programs: rated, liked, played, named_artist (of `row`), genre,
            wish, trending, popularity, novelty or catalogue.
        text: the same in words, part of a sentence.
        row: the track of the listener's own that it comes from, or None.
    """

    signal: str
    text: str
    row: int | None = None

    @property
    def is_cause(self) -> bool:
        """Whether it speaks of the listener and not of the track alone."""
        return self.signal in _CAUSES


_CAUSES = frozenset({"rated", "liked", "played", "named_artist", "genre", "wish"})


def explanation(reasons: Sequence[Reason]) -> str:
    """Return reasons as a sentence: what is true of the track, then why it is this listener's."""
    facts = [reason.text for reason in reasons if not reason.is_cause]
    causes = [reason.text for reason in reasons if reason.is_cause]
    if causes:
        facts.append("because " + " and ".join(causes))
    return ", and ".join(facts)


class Strategy(Protocol):
    """A way to rank tracks.

    Attributes:
        name: as experiments and the bandit's arms know it.
    """

    name: str

    def is_available(self, stage: Stage) -> bool:
        """Return whether it can rank from this stage."""

    def scores(self, scene: Scene) -> Floats:
        """Return a score per track of the catalogue, higher is better; -inf for no opinion."""

    def reasons(self, scene: Scene, rows: Sequence[int]) -> list[list[Reason]]:
        """Return what raised each track's score, the strongest first; never nothing."""


class NeuralCF:
    """The network's logit for the listener's folded-in embedding."""

    name = "neural_cf"

    def is_available(self, stage: Stage) -> bool:
        """Return whether a model is loaded."""
        return stage.loaded is not None

    def scores(self, scene: Scene) -> Floats:
        """Return the network's logits."""
        loaded, listener = _modelled(scene)
        model = loaded.model
        if model.index is None:
            return loaded.spread(listener.neural, -np.inf)
        rows = model.candidates(listener)
        return _scatter(loaded, rows, model.neural_scores(listener.user_vector, rows))

    def reasons(self, scene: Scene, rows: Sequence[int]) -> list[list[Reason]]:
        """Name the listener's tracks that pulled the scores up."""
        return because_of_history(scene, rows)


class ContentBased:
    """Genres and audio features against the listener's profile and stated preferences."""

    name = "content_based"

    def is_available(self, stage: Stage) -> bool:
        """Return True: it needs no model."""
        return True

    def scores(self, scene: Scene) -> Floats:
        """Return the content's fit; what more people know goes first among equals."""
        return scene.portrait.content_fit + KNOWN * scene.catalogue.popularity

    def reasons(self, scene: Scene, rows: Sequence[int]) -> list[list[Reason]]:
        """Name the genres and wishes that match."""
        return [because_of_taste(scene, row) for row in rows]


class HybridEnsemble:
    """The blend of network, item-to-item model, content and popularity learned in training."""

    name = "hybrid_ensemble"

    def is_available(self, stage: Stage) -> bool:
        """Return whether a model is loaded."""
        return stage.loaded is not None

    def scores(self, scene: Scene) -> Floats:
        """Return the blended scores."""
        loaded, listener = _modelled(scene)
        model = loaded.model
        if model.index is None:
            return loaded.spread(listener.hybrid, -np.inf)
        rows = model.candidates(listener)
        return _scatter(loaded, rows, model.hybrid_scores(listener, rows))

    def reasons(self, scene: Scene, rows: Sequence[int]) -> list[list[Reason]]:
        """Name the listener's tracks that pulled the scores up, or what of the content matches."""
        return because_of_history(scene, rows)


class Trending:
    """What is listened to of late, more so in the genres the listener prefers."""

    name = "trending"
    genre_boost = 1.0

    def is_available(self, stage: Stage) -> bool:
        """Return True: where nothing was heard of late, popularity decides."""
        return True

    def scores(self, scene: Scene) -> Floats:
        """Return log heat, doubled at most in preferred genres, popularity below that."""
        heat = np.log1p(scene.stage.heat)
        if scene.portrait.stated.genres:
            preferred = np.zeros(len(heat), bool)
            for genre in scene.portrait.stated.genres:
                preferred[scene.catalogue.genre_rows.get(genre, [])] = True
            heat = heat * (1 + self.genre_boost * preferred)
            heat = heat + KNOWN * preferred
        scores: Floats = (heat + KNOWN * scene.catalogue.popularity).astype(np.float32)
        return scores

    def reasons(self, scene: Scene, rows: Sequence[int]) -> list[list[Reason]]:
        """Say where each stands among what is heard of late."""
        return [self._reasons(scene, row) for row in rows]

    def _reasons(self, scene: Scene, row: int) -> list[Reason]:
        heat = scene.stage.heat
        if heat[row] <= 0:
            return because_of_popularity(scene, row)
        place = int(np.count_nonzero(heat > heat[row])) + 1
        found = [Reason("trending", f"number {place} of what is being listened to now")]
        genres = [g for g in scene.catalogue.genres_of(row) if g in scene.portrait.stated.genres]
        return [*found, Reason("genre", f"you asked for {genres[0]}")] if genres else found


class Discovery:
    """Relevant but less known: the better a track fits and the fewer know it, the higher.

    Both are ranks in [0, 1] over the catalogue, so that the dial means the same everywhere; only
    the better-fitting part of the catalogue takes part, so novelty never outweighs relevance.
    """

    name = "discovery"
    share = 0.2

    def is_available(self, stage: Stage) -> bool:
        """Return True: without a model, relevance is the content's fit."""
        return True

    def scores(self, scene: Scene) -> Floats:
        """Return rank of relevance plus the dial times rank of novelty."""
        relevance = (
            HybridEnsemble().scores(scene)
            if scene.portrait.listener is not None and not scene.portrait.is_unknown
            else scene.portrait.content_fit + KNOWN * scene.catalogue.popularity
        )
        fit = _rank(relevance)
        novelty = scene.catalogue.novelty
        # At dial 0 the best-fitting tracks lead as in any other strategy.
        blended = (1 - 0.5 * scene.adventure) * (fit - 1) / self.share + scene.adventure * novelty
        return np.where(fit >= 1 - self.share, blended, fit - 10).astype(np.float32)

    def reasons(self, scene: Scene, rows: Sequence[int]) -> list[list[Reason]]:
        """Say how few know each, and what of the listener's it is close to."""
        return [
            [Reason("novelty", f"less known ({_known_by(scene, row)})"), *why]
            for row, why in zip(rows, because_of_history(scene, rows), strict=True)
        ]


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (NeuralCF(), ContentBased(), HybridEnsemble(), Trending(), Discovery())
}


def because_of_history(scene: Scene, rows: Sequence[int]) -> list[list[Reason]]:
    """Name the tracks of the listener's own that raised each score; where none did, see taste."""
    loaded, listener = scene.stage.loaded, scene.portrait.listener
    if loaded is None or listener is None:
        return [because_of_taste(scene, row) for row in rows]
    model_rows = loaded.model_rows[np.asarray(rows, np.intp)]
    known = np.flatnonzero(model_rows >= 0)
    causes = listener.causes(model_rows[known].tolist())
    # Few tracks are the causes of many.
    in_words = {
        track: _response_in_words(scene, int(loaded.rows[track]))
        for track in {cause.track_row for nearest in causes for cause in nearest}
    }
    named: list[list[Reason]] = [[] for _ in rows]
    for index, nearest in zip(known.tolist(), causes, strict=True):
        words = [in_words[cause.track_row] for cause in nearest]
        # Two tracks of one named artist make one reason.
        named[index] = list({reason.text: reason for reason in reversed(words)}.values())[::-1]
    return [why or because_of_taste(scene, row) for why, row in zip(named, rows, strict=True)]


def _response_in_words(scene: Scene, row: int) -> Reason:
    name = scene.catalogue.names[row]
    place = scene.portrait.place_of_row.get(row)
    if place is not None:
        _, _, rating, heard_at, said_at = scene.portrait.history.records[place].item()
        if not math.isnan(rating):
            return Reason("rated", f"you rated {name} {rating:.0f}", row)
        if heard_at == -math.inf:
            return Reason("named_artist", f"you named {scene.catalogue.artist(row)}", row)
        if not math.isnan(said_at):
            return Reason("liked", f"you like {name}", row)
    return Reason("played", f"you play {name}", row)


def because_of_taste(scene: Scene, row: int) -> list[Reason]:
    """Say which genres and wishes match, or that others like it where nothing is known."""
    catalogue, stated = scene.catalogue, scene.portrait.stated
    reasons = []
    genres = matching_genres(catalogue.content, scene.portrait.profile, row, limit=2)
    if genres:
        asked = [genre for genre in genres if genre in stated.genres]
        verb = "you asked for" if asked else "you listen to"
        reasons.append(Reason("genre", f"{verb} {' and '.join(asked or genres)}"))
    if (stated.energy is not None or stated.mood is not None) and _fits_wishes(scene, row):
        reasons.append(Reason("wish", "its energy and mood are what you asked for"))
    return reasons or because_of_popularity(scene, row)


def because_of_popularity(scene: Scene, row: int) -> list[Reason]:
    """Say how many know a track."""
    if scene.catalogue.popularity[row] < 0.005:
        return [Reason("catalogue", "from the catalogue")]
    return [Reason("popularity", f"well known: {_known_by(scene, row)}")]


def _known_by(scene: Scene, row: int) -> str:
    share = float(scene.catalogue.popularity[row])
    if not scene.catalogue.is_popularity_counted:
        return f"popularity {share:.0%} by the catalogue"
    return "hardly anybody here" if share < 0.005 else f"{share:.0%} of listeners here"


def _fits_wishes(scene: Scene, row: int) -> bool:
    """Return whether a track's energy and valence lie within 0.75 deviations of the wishes."""
    content, stated = scene.catalogue.content, scene.portrait.stated
    wishes = {"energy": stated.energy}
    if stated.mood is not None:
        wishes["valence"] = stated.mood[0]
        wishes["energy"] = stated.energy if stated.energy is not None else stated.mood[1]
    for feature, wanted in wishes.items():
        if wanted is None:
            continue
        column = _AUDIO_COLUMN[feature]
        level = (wanted - content.audio_mean[column]) / content.audio_scale[column]
        if abs(content.audio[row, column] - level) > 0.75:
            return False
    return True


def _modelled(scene: Scene) -> tuple[LoadedModel, Listener]:
    if scene.stage.loaded is None or scene.portrait.listener is None:
        raise ValueError("no model is loaded")
    return scene.stage.loaded, scene.portrait.listener


def _scatter(loaded: LoadedModel, model_rows: NDArray[np.integer], values: Floats) -> Floats:
    """Return values of some of the model's tracks in the catalogue's order, -inf for the rest."""
    scattered = np.full(len(loaded.model_rows), -np.inf, np.float32)
    rows = loaded.rows[model_rows]
    scattered[rows[rows >= 0]] = values[rows >= 0]
    return scattered


def _rank(values: NDArray[np.floating]) -> Floats:
    """Return each value's rank among all, in [0, 1], ties sharing the lowest."""
    order = np.sort(values)
    return (np.searchsorted(order, values) / max(len(values) - 1, 1)).astype(np.float32)
