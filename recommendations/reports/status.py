"""Figures about the whole system, for pages and clients."""

from typing import Any

from accounts.models import Listener
from recommendations.models import Feedback, PlayCount, ServingState, Track


def status_of() -> dict[str, Any]:
    """Return how much there is, and which model serves."""
    state = ServingState.objects.select_related("model_version").first()
    version = state.model_version if state else None
    n_listeners = Listener.objects.count()
    n_simulated = Listener.objects.filter(is_simulated=True).count()
    return {
        "tracks": Track.objects.active().count(),
        "listeners": n_listeners,
        "simulated_listeners": n_simulated,
        "simulated": n_simulated > 0,
        "feedback": Feedback.objects.count() + PlayCount.objects.count(),
        "model_version": version.pk if version else None,
        "trained_at": version.created_at if version else None,
    }
