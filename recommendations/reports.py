"""Figures about the whole system, for pages and clients."""

from typing import Any

from accounts.models import Listener
from recommendations.models import Feedback, PlayCount, Recommendation, ServingState, Track

N_EXAMPLES = 5


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


def example_list() -> list[dict[str, Any]]:
    """Return the head of the newest slate of a simulated listener; of nobody else.

    What a person was shown is theirs: it never stands on a public page.
    """
    slate = (
        Recommendation.objects.filter(listener__is_simulated=True).order_by("-created_at").first()
    )
    if slate is None:
        return []
    chosen = slate.tracks[:N_EXAMPLES]
    tracks = {
        track.pk: track
        for track in Track.objects.filter(pk__in=chosen)
        .select_related("artist")
        .prefetch_related("genres")
    }
    return [
        {
            "track_name": track.name,
            "artist": track.artist.name,
            "strategy": slate.strategy,
            "explanation": ", ".join(genre.name for genre in track.genres.all()),
            "cover": {
                "title": track.name,
                "artist": track.artist.name,
                "genres": [genre.name for genre in track.genres.all()],
                "energy": 0.5 if track.energy is None else track.energy,
                "valence": 0.5 if track.valence is None else track.valence,
            },
        }
        for track in (tracks[pk] for pk in chosen if pk in tracks)
    ]
