"""Rows for tests, with defaults that make sense together."""

import dataclasses
import secrets
import uuid
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
from django.conf import settings
from rest_framework.test import APIClient

from accounts.models import Listener, Preferences, ServiceAccount, User
from accounts.services import issue_service_key, issue_token
from experiments.models import AssignmentSettings, Experiment
from recommendations.core.artefact import save
from recommendations.core.serving_model import ServingModel
from recommendations.models import (
    Artist,
    Feedback,
    Genre,
    ModelVersion,
    PlayCount,
    Recommendation,
    Track,
    TrainingRun,
)
from recommendations.services import feedback as responses
from recommendations.services import train as training
from recommendations.services.catalogue import index_tracks, touch_catalogue
from recommendations.serving.state import manifest_sha256
from recommendations.tests import small_world

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
_numbers = count(1)


def make_user(**fields):
    return User.objects.create_user(f"user-{next(_numbers)}@example.com", **fields)


def make_listener(*, genres=(), energy=None, mood="", **fields):
    """A listener, who says what they like where anything of that is given."""
    listener = Listener.objects.create(**{"created_at": NOW} | fields)
    if genres or energy is not None or mood:
        Preferences.objects.create(listener=listener, genres=list(genres), energy=energy, mood=mood)
    return listener


def make_token(listener, *, at=None):
    """The secret of a token for a listener, who gets an account if they have none."""
    if listener.user is None:
        listener.user = make_user()
        listener.save()
    return issue_token(user=listener.user, name="test", at=at or datetime.now(UTC))


def make_genre(name):
    return Genre.objects.get_or_create(name=name)[0]


def make_artist(name=None):
    return Artist.objects.get_or_create(name=name or f"Artist {next(_numbers)}")[0]


def make_track(*, artist=None, genres=(), **fields):
    number = next(_numbers)
    defaults = {"track_id": f"track_{number}", "name": f"Track {number}", "duration_ms": 180_000}
    track = Track.objects.create(artist=make_artist(artist), **defaults | fields)
    track.genres.set([make_genre(name) for name in genres])
    index_tracks([track.pk])
    return track


def make_catalogue(n=small_world.N_TRACKS):
    """The first `n` tracks of the small world, as ``t0``, ``t1`` and so on."""
    tracks = [
        make_track(
            track_id=f"t{number}",
            name=f"Song {number}",
            artist=small_world.artist_of(number),
            genres=[small_world.genre_of(number)],
            **small_world.audio_of(number),
        )
        for number in range(n)
    ]
    touch_catalogue()
    return tracks


def make_feedback(*, listener=None, track=None, kind="like", at=NOW, **fields):
    """A response through the service, with all its effects."""
    row, _ = responses.record_feedback(
        listener=listener or make_listener(),
        track=track or make_track(),
        kind=kind,
        at=at,
        **fields,
    )
    return row


def make_feedback_row(*, listener, track, at=NOW, **fields):
    """A row of feedback alone, as an import leaves it."""
    defaults = {"kind": "like", "preference": 1.0, "event_id": str(uuid.uuid4())}
    return Feedback.objects.create(
        listener=listener, track=track, occurred_at=at, received_at=at, **defaults | fields
    )


def make_play_count(*, listener, track, plays=1):
    return PlayCount.objects.create(listener=listener, track=track, plays=plays)


def make_slate(*, listener, tracks, at=NOW, **fields):
    """A ledger row; no bandit chose it unless `probabilities` says so."""
    defaults = {
        "policy": "trending",
        "strategy": "trending",
        "chosen_strategy": "trending",
        "propensity": 1.0,
        "latency_ms": 1.0,
    }
    return Recommendation.objects.create(
        listener=listener,
        created_at=at,
        tracks=[track.pk for track in tracks],
        scores=[0.0] * len(tracks),
        **defaults | fields,
    )


def make_run(**fields):
    return TrainingRun.objects.create(
        **{"trigger": "manual", "status": "succeeded", "requested_at": NOW} | fields
    )


def make_version(model: ServingModel, tracks, *, at=NOW, promoted=True):
    """Register the small world's model for the tracks of this database, and promote it."""
    pks = np.array([track.pk for track in tracks], np.int64)
    folder = f"run-{secrets.token_hex(6)}"
    path = Path(settings.MODELS_DIR) / folder
    save(path, dataclasses.replace(model, track_ids=pks))
    version = ModelVersion.objects.create(
        run=make_run(),
        folder=folder,
        manifest_sha256=manifest_sha256(path),
        n_parameters=model.metadata["n_parameters"],
        n_listeners=model.metadata["n_users"],
        n_tracks=len(tracks),
        seconds=1.0,
        verdict="",
    )
    if promoted:
        training.promote(version, at=at)
    return version


def make_service(name=None):
    return ServiceAccount.objects.get_or_create(name=name or f"service-{next(_numbers)}")[0]


def service_client(name=None, *, scopes=("read", "write", "recommend")):
    """A client of the API that shows a service's key."""
    service = make_service(name)
    _, secret = issue_service_key(service=service, scopes=scopes, at=datetime.now(UTC))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    client.service = service
    return client


def serve_all_by(policy):
    """Give every listener the lists of one policy, so that no draw decides a test."""
    Experiment.objects.running().update(status=Experiment.Status.PAUSED)
    AssignmentSettings.objects.update_or_create(pk=1, defaults={"default_policy": policy})
