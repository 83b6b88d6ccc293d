"""What each number and each alarm of the console means; pages and their tests read it here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """How a number is computed.

    Attributes:
        label: what it is called on a page.
        text: how it is computed, in a sentence or two.
        source: the tables behind it.
    """

    label: str
    text: str
    source: str


_SHOWN = "TrackShown, counted each hour from Recommendation; SystemReport spread"
_SLOTS = "ActivitySlot, counted each minute from Recommendation and Feedback"
_TIMES = "RequestMinute, added to by each web process every 5 s"

DEFINITIONS: dict[str, Definition] = {
    "today": Definition(
        "Today against last week",
        "Today from midnight UTC to the end of the last full five minutes. Beside it the same "
        "hours of the seven days before: for counts their mean per day, for shares and means all "
        "seven taken together.",
        _SLOTS,
    ),
    "active-listeners": Definition(
        "Active listeners",
        "Distinct listeners who asked for a list or responded. Each counts in the five minutes of "
        "their first act of the day, so that slots add up to a day.",
        _SLOTS,
    ),
    "slates": Definition("Lists", "Slates answered, a ledger row each; by created_at.", _SLOTS),
    "responses": Definition(
        "Responses", "Rows of feedback of every kind, by the time they were received.", _SLOTS
    ),
    "mean-rating": Definition(
        "Mean rating", "Sum of the ratings, 1 to 5, over their number.", _SLOTS
    ),
    "like-rate": Definition("Like rate", "Likes over responses of every kind.", _SLOTS),
    "skip-rate": Definition("Skip rate", "Skips over skips and plays.", _SLOTS),
    "fallback-rate": Definition(
        "Fall-back rate",
        "Slates whose ledger row names a reason why something else than what was asked for was "
        "served (no model, unknown listener, too few tracks), over slates.",
        _SLOTS,
    ),
    "experiment-coverage": Definition(
        "A/B coverage",
        "Slates served under a variant of a running experiment, over slates.",
        _SLOTS,
    ),
    "model": Definition(
        "Model that serves",
        "The version that the one row of ServingState names; its age is the time since it was "
        "trained. Web processes take up another within 2 seconds.",
        "ServingState, ModelVersion",
    ),
    "verdict": Definition(
        "Verdict of an experiment",
        "As of its newest roll-up, from sums over exposed listeners; intervals may be looked at "
        "any time. docs/statistics.md has the formulas.",
        "Phase, CohortMoments",
    ),
    "leading-arm": Definition(
        "Bandit's leading arm",
        "The arm with the largest probability that its mean reward over the newest 500 contexts "
        "is the largest; as of the newest snapshot.",
        "Snapshot",
    ),
    "queue": Definition(
        "Effects owed",
        "Outbox rows that are not closed. The age is that of the oldest one that is tried by "
        "itself; those that failed eight times wait for a person and are counted apart.",
        "OutboxEvent",
    ),
    "latency": Definition(
        "Latency",
        "From the first line of the application to the finished answer, without the network. "
        "Counted in buckets whose bounds grow by 2^(1/8), the same in every process, so that they "
        "add up exactly; a percentile is the upper bound of its bucket, at most 9 % too large.",
        _TIMES,
    ),
    "error-rate": Definition(
        "Error rate", "Answers with status 500 or above, over answers.", _TIMES
    ),
    "refused": Definition("Refused", "Answers 429 (too many) and 503 (overloaded).", _TIMES),
    "freshness": Definition(
        "Freshness",
        "Measured each minute: a listener made for it asks for a list, likes its first track and "
        "asks again; the time from the like to the other list. The transaction is then rolled "
        "back, so no ledger and no sum knows of it.",
        "SystemReport freshness",
    ),
    "effects-lag": Definition(
        "Lag of effects",
        "From a committed slate or response to its effects on trend, experiments and bandit, over "
        "the newest 2,000 events.",
        "OutboxEvent, SystemReport effects",
    ),
    "heartbeat": Definition(
        "Heartbeats",
        "Workers and web processes renew a row of theirs every 10 and 5 seconds. The schedule's "
        "row is renewed by a job it starts every 10 seconds, so it is silent also where no worker "
        "hears it. Silent: nothing for 45 seconds.",
        "Heartbeat",
    ),
    "storage": Definition(
        "Sizes",
        "pg_database_size, pg_total_relation_size with the planner's estimate of rows, Redis's "
        "used_memory, and the lengths of its queues.",
        "SystemReport storage",
    ),
    "coverage": Definition(
        "Coverage of the catalogue",
        "Active tracks that were on at least one list in the last seven days, over active tracks.",
        _SHOWN,
    ),
    "gini": Definition(
        "Gini coefficient",
        "How unevenly places on lists fall on active tracks over seven days: 0 where each is shown "
        "alike, towards 1 where a few have all.",
        _SHOWN,
    ),
    "novelty": Definition(
        "Novelty",
        "Mean of -log2 of the share of listeners who know a track, over the places of seven days' "
        "lists; in bits. Beside it what a draw from the whole catalogue would have.",
        _SHOWN,
    ),
    "mae": Definition(
        "Mean absolute error",
        "Of the calibrated expected rating, on held-out responses, in stars of 1 to 5.",
        "ModelVersion.metrics",
    ),
    "ndcg": Definition(
        "NDCG@10",
        "On the newest twentieth of the responses, but for what the champion learned from; each "
        "listener ranked from what they had done before, by challenger and champion alike.",
        "ModelVersion.comparison",
    ),
    "calibration": Definition(
        "Calibration",
        "Of the confidence: among held-out responses with about the same confidence, the share "
        "whose rating lay within one star of the prediction. On the diagonal it is honest; the "
        "expected calibration error is the mean distance from it.",
        "ModelVersion.metrics",
    ),
    "recall": Definition(
        "Recall@100 of the first stage",
        "Of the tracks that the network ranks among its best 100 of the whole catalogue, the share "
        "that the first stage hands to it; on some listeners, at training. A catalogue of up to "
        "50,000 tracks needs no first stage. Where past a million tracks only some cells of the "
        "index are looked at, their own recall is against the scan of all tracks.",
        "ModelVersion.metrics",
    ),
}


@dataclass(frozen=True)
class AlarmText:
    """What an alarm means and what to do about it.

    Attributes:
        act: what the button says.
        url_name: where it leads.
    """

    meaning: str
    remedy: str
    act: str
    url_name: str


ALARM_TEXTS: dict[str, AlarmText] = {
    "worker-silent": AlarmText(
        "No Celery worker has renewed its row for 45 seconds. Lists are still served and tastes "
        "still follow each response; trend, experiments, bandit and training stand still. Nothing "
        "is lost: effects wait in the outbox.",
        "Start a worker, or read the log of the one that died. The backlog drains by itself.",
        "See processes",
        "system-metrics",
    ),
    "schedule-silent": AlarmText(
        "Workers live, but nothing has come from Celery beat for 45 seconds: beat is down, or the "
        "default queue is so long that its jobs wait.",
        "Start beat (one only). If the queue is long, add workers.",
        "See processes",
        "system-metrics",
    ),
    "outbox-stuck": AlarmText(
        "Responses are accepted faster than their effects are applied, or each batch fails.",
        "Look at the processes first, then at the errors among the dead letters; add a worker if "
        "both are well.",
        "See the outbox",
        "dead-letters",
    ),
    "dead-letters": AlarmText(
        "These effects failed eight times and are not tried any more by themselves.",
        "Read the error, mend the cause, then try them again; each takes effect once.",
        "Look and retry",
        "dead-letters",
    ),
    "no-model": AlarmText(
        "No version serves. Lists come from content and trends and say so in `fallback`.",
        "Train, or promote a version of the registry.",
        "Go to models",
        "models",
    ),
    "model-old": AlarmText(
        "No challenger has been better, or none was trained, for three days.",
        "See the newest runs: failed, or kept and not served? Train now if none ran.",
        "Go to models",
        "models",
    ),
    "training-failed": AlarmText(
        "The newest run failed; the version before it still serves.",
        "Its row has the error. Mend it and train again; the nightly run also tries.",
        "Go to models",
        "models",
    ),
    "errors": AlarmText(
        "More than one answer in a hundred of the last 15 minutes was 500 or above.",
        "Find the endpoint in the table, then the log by request id. If it came with a new model, "
        "roll back; if with a release, deploy the one before.",
        "See endpoints",
        "system-metrics",
    ),
    "fallbacks": AlarmText(
        "More than one list in twenty was made by another strategy than the one asked for.",
        "Look at one such list: its reason says whether the model is missing or tracks are few.",
        "See strategies",
        "system-metrics",
    ),
    "slow-lists": AlarmText(
        "The 95th percentile of POST /recommend is above 250 ms.",
        "See whether all endpoints are slow (machine, database) or one strategy is (model).",
        "See latency",
        "system-metrics",
    ),
    "counts-old": AlarmText(
        "The job that counts today has not finished for five minutes.",
        "It runs in the worker each minute: look at the processes and their log.",
        "See processes",
        "system-metrics",
    ),
    "measurement-failed": AlarmText(
        "A measurement of the system raised an error; what it measures is not known now.",
        "The reason is beside it. If Redis is named: limits are local and queues wait until it is "
        "back; nothing is lost.",
        "See measurements",
        "system-metrics",
    ),
    "list-unchanged": AlarmText(
        "The probe liked a track and the next list was the same. Learning from responses is "
        "broken, or the catalogue is smaller than a list.",
        "Check that the catalogue has more tracks than a list; then roll the model back.",
        "Go to models",
        "models",
    ),
    "experiment-unhealthy": AlarmText(
        "A check of the experiment fails (sample ratio, fall-backs, cross-over): its numbers "
        "cannot be trusted.",
        "Open it, read the failed check, and begin a new phase once the cause is mended.",
        "Open experiment",
        "ab-testing",
    ),
    "experiment-harmful": AlarmText(
        "A guardrail or the goal is worse beyond doubt.",
        "Stop the experiment, or pause it while you look.",
        "Open experiment",
        "ab-testing",
    ),
    "arm-pinned": AlarmText(
        "Somebody gave one arm all traffic; the bandit learns nothing of the others meanwhile.",
        "Unpin it once the reason is gone.",
        "Open bandit",
        "contextual-bandits",
    ),
}
