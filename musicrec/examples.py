"""An example of every request, and of the answers worth showing; a test runs them."""

from typing import Any

_TRACK = {
    "track_id": "track_123",
    "track_name": "Hyperballad",
    "artist": "Björk",
    "artist_id": 12,
    "album": "Post",
    "genres": ["art pop", "electronic"],
    "year": 1995,
    "duration_ms": 321_000,
    "popularity": 62,
    "cover_url": "https://img.example/post.jpg",
    "preview_url": None,
}
_ITEM = {
    **_TRACK,
    "score": 1.94,
    "prediction_score": 4.3,
    "confidence": 0.81,
    "strategy": "hybrid_ensemble",
    "explanation": "because you rated Jóga 5",
    "reasons": [{"signal": "rated", "text": "you rated Jóga 5", "track_id": "track_77"}],
    "explored": False,
}
_SLATE = {
    "recommendation_id": "4be0643f-1d98-573b-97cd-ca98a65347dd",
    "policy": "contextual_bandit",
    "strategy": "hybrid_ensemble",
    "experiment": {"key": "bandit-against-hybrid", "variant": "bandit"},
    "bandit": {"arm": "hybrid_ensemble", "probability": 0.62},
    "model_version": 3,
    "fallback": None,
    "generated_at": "2026-03-02T12:00:00Z",
    "recommendations": [_ITEM],
}
_LISTENER = {"country": "SE", "time_zone": "Europe/Stockholm", "genres": ["pop", "electronic"]}
_FACTS = {
    "track_name": "Hyperballad",
    "artist": "Björk",
    "album": "Post",
    "genres": ["art pop", "electronic"],
    "year": 1995,
    "duration_ms": 321_000,
    "popularity": 62,
    "audio": {"energy": 0.58, "valence": 0.35, "tempo_bpm": 92.0},
    "isrc": "GBAYE9500123",
    "cover_url": "https://img.example/post.jpg",
}

REQUESTS: dict[str, Any] = {
    "POST /auth/register": {"email": "user@example.com", "password": "a long password of mine"},
    "POST /auth/token": {"email": "user@example.com", "password": "a long password of mine"},
    "POST /preferences/set": {
        "genres": ["pop", "rock", "electronic"],
        "energy": 0.7,
        "mood": "energetic",
    },
    "POST /recommend": {"n_recommendations": 10, "mood": "happy", "device_type": "desktop"},
    "POST /recommend/rows": {"activity": "work", "discovery": 0.6, "n_per_row": 12},
    "POST /recommend/batch": {"user_ids": ["mia", "ole"], "n_recommendations": 20},
    "POST /feedback": {
        "track_id": "track_123",
        "rating": 5,
        "context": {"mood": "party", "device_type": "mobile"},
    },
    "POST /feedback/bulk": [
        {
            "event_id": "plays-20260302-1",
            "user_id": "mia",
            "track_id": "track_123",
            "kind": "play",
            "completion": 0.93,
            "occurred_at": "2026-03-02T08:15:00Z",
        },
        {"event_id": "ratings-77", "user_id": "ole", "track_id": "track_123", "rating": 4},
    ],
    "PUT /tracks": [{"track_id": "track_123", **_FACTS}],
    "PUT /tracks/{track_id}": _FACTS,
    "PUT /listeners": [{"user_id": "mia", **_LISTENER}],
    "PUT /listeners/{user_id}": _LISTENER,
    "PATCH /me": {"country": "SE", "time_zone": "Europe/Stockholm", "music_service": "spotify"},
    "DELETE /me": {"password": "a long password of mine"},
    "POST /me/tokens": {"name": "my phone", "days": 90},
    "POST /me/hidden": {"track_id": "track_123", "days": 30},
    "POST /me/import": {"file": "StreamingHistory.zip", "source": "spotify"},
}

RESPONSES: dict[str, Any] = {
    "POST /recommend": _SLATE,
    "POST /recommend/rows": {
        "rows": [
            {
                "key": "for_now",
                "title": "For this evening",
                "why": "ranked for you now by hybrid_ensemble",
                "slate": _SLATE,
            }
        ]
    },
    "POST /recommend/batch": {"results": [{"user_id": "mia", **_SLATE}], "unknown": ["ole"]},
    "POST /feedback/bulk": {
        "recorded": 1,
        "duplicates": 0,
        "refused": 1,
        "results": [
            {"index": 0, "status": "recorded", "event_id": "plays-20260302-1"},
            {
                "index": 1,
                "status": "refused",
                "code": "unknown_track",
                "detail": "There is no track 'track_9'.",
            },
        ],
    },
    "GET /tracks": {"next": None, "previous": None, "results": [_TRACK]},
    "PUT /tracks": {"created": 1, "changed": 0, "unchanged": 0},
    "GET /search": {
        "tracks": [_TRACK],
        "artists": [{"artist_id": 12, "artist": "Björk"}],
        "genres": ["art pop"],
    },
}
