"""Scores on held-out interactions, by which training chooses its own settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recommendations.core.arrays import Floats, top_k
from recommendations.core.interactions import NEUTRAL, Histories, Interactions
from recommendations.core.metrics import ndcg_at_k

K = 20


@dataclass(frozen=True, eq=False)
class ValidationSlice:
    """Held-out responses of some listeners, with the history that precedes them."""

    history: Histories
    users: np.ndarray
    relevant: Sequence[set[int]]

    @classmethod
    def of(
        cls, train: Interactions, held_out: Interactions, *, max_users: int = 2000
    ) -> ValidationSlice:
        """Collect each listener's liked tracks among the held-out ones."""
        liked = held_out.take(held_out.preference >= NEUTRAL)
        users = np.unique(liked.user_rows)
        if len(users) > max_users:
            users = users[np.linspace(0, len(users) - 1, max_users).astype(int)]
        by_user = liked.by_user()
        relevant = [set(by_user.of(user)[0].tolist()) for user in users]
        return cls(train.by_user(), users, relevant)

    def ndcg(self, scores_of: Callable[[np.ndarray, np.ndarray], Floats]) -> float:
        """Return mean NDCG@20 over the catalogue, the history left out.

        Args:
            scores_of: every track's score from a history's rows and preferences.
        """
        if not len(self.users):
            return 0.0
        values = []
        for user, relevant in zip(self.users, self.relevant, strict=True):
            rows, preferences = self.history.of(user)
            scores = np.array(scores_of(rows, preferences), np.float32)
            scores[rows] = -np.inf
            values.append(ndcg_at_k(top_k(scores, K), relevant, k=K))
        return float(np.mean(values))
