"""Scores on held-out responses, by which training chooses its own settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recommendations.core.arrays import Floats
from recommendations.core.interactions import NEUTRAL, Histories, Interactions
from recommendations.core.metrics import dcg_discounts

K = 20

ScoresOf = Callable[[np.ndarray, np.ndarray], Floats]
"""From a history's rows and preferences to scores, (n_tracks,) or (n_variants, n_tracks)."""


@dataclass(frozen=True, eq=False)
class ValidationSlice:
    """Held-out responses of some listeners, with the history that precedes them.

    Attributes:
        history: what is known of each listener beforehand.
        users: rows of the listeners judged on.
        relevant: rows of the held-out tracks that each of `users` liked.
    """

    history: Histories
    users: np.ndarray
    relevant: Sequence[np.ndarray]

    @classmethod
    def of(cls, train: Interactions, held_out: Interactions) -> ValidationSlice:
        """Collect each listener's liked tracks among the held-out ones."""
        liked = held_out.take(held_out.preference >= NEUTRAL)
        users = np.unique(liked.user_rows)
        by_user = liked.by_user()
        return cls(train.by_user(), users, [by_user.of(user)[0] for user in users])

    def of_at_most(self, n_users: int) -> ValidationSlice:
        """Return the slice of some of its listeners, evenly spread, where a few must do."""
        if len(self.users) <= n_users:
            return self
        kept = np.linspace(0, len(self.users) - 1, n_users).astype(int)
        return replace(self, users=self.users[kept], relevant=[self.relevant[i] for i in kept])

    def ndcg(self, scores_of: ScoresOf, *, k: int = K) -> np.ndarray:
        """Return the mean NDCG@k over the catalogue, the history left out.

        Ranks come from counting what scores higher, a tie counting against the track, so that
        many variants of a score are judged in one pass.

        Returns:
            One value per variant, shape (n_variants,); 0 without held-out responses.
        """
        total, discounts = np.zeros(1), np.append(dcg_discounts(k), 0.0)
        for user, relevant in zip(self.users, self.relevant, strict=True):
            rows, preferences = self.history.of(user)
            scores = np.array(scores_of(rows, preferences), np.float32, ndmin=2)
            scores[:, rows] = -np.inf
            gain = np.zeros(len(scores))
            for target in relevant:
                rank = np.count_nonzero(scores >= scores[:, target, None], axis=1)
                gain += discounts[np.minimum(rank - 1, k)]
            total = total + gain / discounts[: min(len(relevant), k)].sum()
        return total / max(len(self.users), 1)
