"""What is counted for Prometheus, in the process where it happens.

Sums of what is in the database (outbox, training, bandit) are read at each scrape instead, by
`recommendations.gauges`.  With several web processes prometheus_client adds them up through files
in ``PROMETHEUS_MULTIPROC_DIR``, which gunicorn's configuration makes and wipes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
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


def measure_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Observe every request by the name of its view: addresses hold ids, and would not end."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        with IN_PROGRESS.track_inprogress():
            response = get_response(request)
        match = request.resolver_match
        view = (match.view_name or match.route or "unnamed") if match else "none"
        method = request.method if request.method in _METHODS else "other"
        REQUESTS.labels(view, method, str(response.status_code)).observe(
            time.perf_counter() - began
        )
        return response

    return middleware


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
