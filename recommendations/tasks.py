"""Jobs of the work queue. Each may run twice, or be lost with its worker, without harm."""

import logging
import subprocess
import sys
import threading
import time

import structlog
from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.db.models import Min
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from accounts import repeats
from recommendations.models import Heartbeat, OutboxEvent, TrainingRun
from recommendations.services import effects, heartbeats, measuring, rollups, trend, visitors
from recommendations.services import train as training
from recommendations.services.enrichment import applying
from recommendations.services.imports import history

logger = logging.getLogger(__name__)


@shared_task(expires=30)
def drain_outbox() -> None:
    """Apply what is owed, until nothing is left; every second, and after each response."""
    while effects.drain_outbox(at=timezone.now()) == effects.BATCH:
        pass


@shared_task(expires=20)
def log_queue_age() -> None:
    """Log how long the oldest effect waits; an autoscaler reads the line (deploy/ecs)."""
    moment = timezone.now()
    oldest = OutboxEvent.objects.open().aggregate(oldest=Min("created_at"))["oldest"]
    seconds = (moment - oldest).total_seconds() if oldest else 0.0
    structlog.get_logger(__name__).info("queue_age", seconds=seconds)


@shared_task
def prune_event_keys() -> None:
    """Forget the keys of events applied long ago; daily."""
    effects.prune_event_keys(at=timezone.now())


@shared_task
def prune_outbox() -> None:
    """Remove events applied a while ago; nightly."""
    effects.prune_outbox(at=timezone.now())


@shared_task
def prune_trend() -> None:
    """Forget what no longer moves the trend; nightly."""
    trend.prune_trend(at=timezone.now())


@shared_task
def train_model(run_id: int) -> None:
    """Carry out a waiting run in a process of its own, where TensorFlow may live and die.

    A second delivery finds the run taken and returns at once.
    """
    # Nothing of this process is shared with it, least of all its database connection.
    command = [sys.executable, settings.BASE_DIR / "manage.py", "train", "--run", str(run_id)]
    if settings.TRAINING_WORKERS:
        command += ["--workers", ",".join(settings.TRAINING_WORKERS)]
        for index in range(1, len(settings.TRAINING_WORKERS)):
            help_train.apply_async((run_id, index), queue=f"training-{index}", expires=900)
    subprocess.run(command, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    training.fail_dead_runs()


@shared_task
def help_train(run_id: int, index: int) -> None:
    """Train along with a run, as worker `index` of the settings' TRAINING_WORKERS."""
    command = [
        *(sys.executable, settings.BASE_DIR / "manage.py", "train", "--run", str(run_id)),
        *("--workers", ",".join(settings.TRAINING_WORKERS), "--help-as", str(index)),
    ]
    subprocess.run(command, check=False, stdin=subprocess.DEVNULL)  # noqa: S603


@shared_task
def start_training(trigger: str) -> None:
    """Queue a run, unless one is open; nightly."""
    queue_training(trigger)


@shared_task(expires=50)
def look_after_training() -> None:
    """Fail runs whose process is gone, and start one when enough feedback has come; each minute."""
    training.fail_dead_runs()
    if training.is_due(at=timezone.now()):
        queue_training(TrainingRun.Trigger.THRESHOLD)


@shared_task(expires=30)
def beat_alive() -> None:
    """Note that the schedule fires and a worker hears it."""
    heartbeats.beat("schedule", kind=Heartbeat.Kind.BEAT, at=timezone.now())


@shared_task(expires=50)
def measure_system(slow_too: bool = False) -> None:
    """Measure the system for the console; each minute, and every five what takes longer."""
    measuring.measure_all(at=timezone.now(), slow_too=slow_too)
    heartbeats.forget_old(at=timezone.now())


@shared_task(expires=50)
def count_days() -> None:
    """Count what listeners did, for the console; each minute."""
    rollups.count_days(at=timezone.now())


@shared_task
def enrich_tracks(provider: str, keys: list[int]) -> None:
    """Look chosen tracks up with a provider; what was found before a restart is kept."""
    applying.enrich(applying.provider_of(provider), keys)


@shared_task
def import_history(pk: int) -> None:
    """Take in a listening history that a listener uploaded."""
    history.run_import(pk)


@shared_task(expires=50)
def resume_imports() -> None:
    """Take up imports whose message or worker was lost; each minute."""
    for pk in history.stalled_imports(at=timezone.now()):
        queue_import(pk)


@shared_task
def forget_visitors() -> None:
    """Erase visitors who never signed up; nightly."""
    visitors.forget_visitors(at=timezone.now())


@shared_task
def forget_answers() -> None:
    """Forget what requests with a key were answered long ago; hourly."""
    repeats.forget_answers(at=timezone.now())


def queue_import(pk: int) -> None:
    """Hand an import to a worker; while the broker is away it waits for `resume_imports`."""
    try:
        import_history.apply_async([pk], retry=False)
    except (OSError, OperationalError, RedisError) as error:
        logger.info("the broker is away (%s); import %s waits", error, pk)


def queue_training(trigger: str) -> TrainingRun | None:
    """Create a run and hand it to a worker once the transaction commits; None if one is open."""
    try:
        run = training.request_training(trigger=trigger, at=timezone.now())
    except training.TrainingUnderWay:
        return None
    train_model.delay_on_commit(run.pk)
    return run


class _Nudge:
    """Asks a worker to drain the outbox soon, without a request ever waiting for the broker.

    A thread publishes, the first at once; what comes while it is at it, or within `pause` seconds
    after, is one more message, not many: a drain takes all that has come for the price of one.  If
    the broker is away the nudge is lost, and the scheduled drain does the work when it is back.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._wanted = threading.Event()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        self._wanted.set()
        if self._thread is None or not self._thread.is_alive():  # also after a fork
            with self._start:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                drain_outbox.apply_async(retry=False)
            except (OSError, OperationalError, RedisError) as error:
                logger.info("the broker is away (%s); the outbox is drained on schedule", error)
            time.sleep(self._pause)


nudge_outbox = _Nudge(pause=0.5)


def nudge_on_commit() -> None:
    """Nudge once the current transaction is committed."""
    transaction.on_commit(nudge_outbox)
