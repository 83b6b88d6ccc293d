"""What the schedule (Celery's beat) starts, and how often: seconds, or a time of day in UTC."""

from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    "drain-outbox": {"task": "recommendations.tasks.drain_outbox", "schedule": 1.0},
    "prune-event-keys": {
        "task": "recommendations.tasks.prune_event_keys",
        "schedule": crontab(hour=4, minute=10),
    },
    "prune-outbox": {
        "task": "recommendations.tasks.prune_outbox",
        "schedule": crontab(hour=4, minute=20),
    },
    "prune-trend": {
        "task": "recommendations.tasks.prune_trend",
        "schedule": crontab(hour=4, minute=30),
    },
    "log-queue-age": {"task": "recommendations.tasks.log_queue_age", "schedule": 30.0},
    "look-after-training": {
        "task": "recommendations.tasks.look_after_training",
        "schedule": 60.0,
    },
    "forget-visitors": {
        "task": "recommendations.tasks.forget_visitors",
        "schedule": crontab(hour=4, minute=10),
    },
    "forget-answers": {
        "task": "recommendations.tasks.forget_answers",
        "schedule": crontab(minute=20),
    },
    "resume-imports": {"task": "recommendations.tasks.resume_imports", "schedule": 60.0},
    "nightly-training": {
        "task": "recommendations.tasks.start_training",
        "args": ["nightly"],
        "schedule": crontab(hour=3, minute=30),
    },
    "fold-rewards": {"task": "bandits.tasks.fold_rewards", "schedule": 5.0},
    "expire-decisions": {"task": "bandits.tasks.expire_decisions", "schedule": 60.0},
    "bandit-snapshots": {"task": "bandits.tasks.take_snapshots", "schedule": 300.0},
    "beat-alive": {"task": "recommendations.tasks.beat_alive", "schedule": 10.0},
    "measure-system": {"task": "recommendations.tasks.measure_system", "schedule": 60.0},
    "measure-system-slowly": {
        "task": "recommendations.tasks.measure_system",
        "args": [True],
        "schedule": 300.0,
    },
    # Each minute, but not in the same second as the others: together they keep requests waiting.
    "count-days": {"task": "recommendations.tasks.count_days", "schedule": 59.0},
    "roll-up-experiments": {
        "task": "experiments.tasks.roll_up_experiments",
        "schedule": 61.0,
    },
}
