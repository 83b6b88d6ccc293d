"""What is counted for Prometheus, in the process where it happens.

Sums of what is in the database (outbox, training, bandit) are read at each scrape instead, by
`recommendations.gauges`.  With several web processes prometheus_client adds them up through files
in ``PROMETHEUS_MULTIPROC_DIR``, which gunicorn's configuration makes and wipes.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "musicrec_request_seconds",
    "Time from the first middleware to the last, by view, method and status.",
    ["view", "method", "status"],
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.25, 0.5, 1.0, 2.0, 5.0),
)
IN_PROGRESS = Gauge(
    "musicrec_requests_in_progress",
    "Requests being answered.",
    multiprocess_mode="livesum",
)
SHED = Counter("musicrec_requests_shed_total", "Requests turned away with 503 under overload.")
SLATES = Counter(
    "musicrec_slates_total",
    "Lists served, by the policy that asked, the strategy that served and why another did.",
    ["policy", "strategy", "fallback"],
)
RESPONSES = Counter("musicrec_responses_total", "Responses taken, by kind.", ["kind"])
MODEL_FAILURES = Counter(
    "musicrec_model_load_failures_total", "Times a model that should serve could not be loaded."
)
