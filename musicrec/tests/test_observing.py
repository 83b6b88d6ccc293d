"""Logs without secrets, counts that only the monitor sees, probes that answer under any name."""

import io
import json
import logging
import logging.config
import subprocess
import sys
import threading
from urllib.parse import quote, urlencode

import pytest
import structlog
from django.conf import settings
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import ApiToken, User
from musicrec.logs import REMOVED, logging_config, scrub
from musicrec.middleware import DatabaseAway
from musicrec.replica import AnalyticsRouter, read_analytics_from_replica, reading_analytics
from recommendations.models import Feedback
from recommendations.tasks import log_queue_age
from recommendations.tests.factories import make_listener, make_token, make_track, make_user


@pytest.fixture
def written():
    """What is written to the log, as the images configure it; the line of each record, parsed."""
    config = logging_config(style="json", level="INFO")
    stream = io.StringIO()
    config["handlers"]["console"]["stream"] = stream
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logging.config.dictConfig(config)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("mail to Zoë.O'Hara+x@mail.example.co.uk failed", "mail.example"),
        ("postgres://musicrec:hunter22@db:5432/x refused", "hunter22"),
        ("redis://:hunter22@cache:6379/0", "hunter22"),
        ("GET /reset?token=abc123def&next=/", "abc123def"),
        ("Authorization: Bearer eyJhbGciOi.J9", "eyJhbGciOi"),
        ("unknown token mr_YNSr3oH_VOKEtajHmt_OqKQBPwIiXachfbgPJVFeq5U", "mr_"),
        ("service ms_0123456789abcdefXYZ came", "ms_"),
    ],
)
def test_secrets_and_addresses_are_taken_out_of_text(text, without):
    assert without in text
    assert without not in scrub(text)


@given(
    st.from_regex(r"[a-z0-9_+%-]{1,10}(\.[a-z]{1,5})?@[a-z0-9-]{1,9}\.[a-z]{2,4}", fullmatch=True),
    st.text(max_size=30),
    st.text(max_size=30),
)
def test_no_address_of_mail_is_written_wherever_it_stands(address, before, after):
    assert address not in scrub(f"{before} {address} {after}")


def test_values_under_secret_names_are_not_written_at_any_depth():
    event = {
        "password": "x",
        "context": {"csrftoken": "y", "n": 3, "items": [{"api_key": "z"}]},
        "user_id": 7,
        "listener": "abc",
    }
    assert scrub(event) == {
        "password": REMOVED,
        "context": {"csrftoken": REMOVED, "n": 3, "items": [{"api_key": REMOVED}]},
        "user_id": 7,
        "listener": "abc",
    }


def test_an_exception_is_scrubbed_with_its_message(written):
    try:
        raise ValueError("no user mia@example.com with password=swordfish")
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    (line,) = written()
    assert line["event"] == "it failed"
    assert "ValueError" in line["exception"]
    assert "mia@" not in line["exception"]
    assert "swordfish" not in line["exception"]


@pytest.mark.django_db
def test_the_line_of_a_request_names_request_and_listener_and_nothing_of_the_secret(written):
    listener, track = make_listener(), make_track()
    secret = make_token(listener)
    answer = Client().post(
        "/feedback?email=mia@example.com",
        {"track_id": track.track_id, "kind": "like"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 201
    (line,) = [line for line in written() if line["event"] == "request_finished"]
    assert line["code"] == 201
    assert len(line["request_id"]) == 36
    assert line["listener"] == listener.uuid.hex
    assert "mia@" not in json.dumps(line)
    assert secret not in json.dumps(written())
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.usefixtures("committed")
def test_each_line_of_a_task_names_the_task(child_environment):
    worker = subprocess.Popen(  # noqa: S603 (our own command)
        [
            *(sys.executable, "-m", "celery", "-A", "musicrec", "worker", "--pool", "solo"),
            *("-Q", "default", "--without-gossip", "--without-mingle"),
        ],
        env=child_environment | {"MUSICREC_LOG_FORMAT": "json", "MUSICREC_LOG_LEVEL": "INFO"},
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    too_long = threading.Timer(120, worker.kill)
    too_long.start()
    try:
        task = log_queue_age.delay()
        lines = []
        for text in worker.stderr:
            if text.startswith("{"):
                lines.append(json.loads(text))
                if lines[-1]["event"] == "task_succeeded":
                    break
    finally:
        too_long.cancel()
        worker.kill()
        worker.wait()
        worker.stderr.close()
    of_the_task = [line for line in lines if line.get("task_id") == task.id]
    events = [line["event"] for line in of_the_task]
    assert events == ["task_started", "queue_age", "task_succeeded"], lines


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize("host", ["10.0.3.17:8000", "load-balancer", "music.example"])
@pytest.mark.django_db
def test_probes_answer_under_any_name_and_without_tls(path, host, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get(path, headers={"host": host}).status_code in (200, 503)


@pytest.mark.django_db
def test_other_addresses_answer_to_known_names_only():
    assert Client().get("/", headers={"host": "10.0.3.17"}).status_code == 400


@pytest.mark.django_db
def test_counts_are_shown_to_who_has_the_token_and_to_nobody_else(settings):
    settings.METRICS_TOKEN = "a monitor's"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "a monitor's"}):
        assert Client().get("/metrics", headers=headers).status_code == 404
    answer = Client().get("/metrics", headers={"Authorization": "Bearer a monitor's"})
    assert answer.status_code == 200
    text = answer.content.decode()
    for name in ("musicrec_database_up 1.0", "musicrec_outbox_open", "musicrec_request_seconds"):
        assert name in text


@pytest.mark.django_db
def test_without_a_token_in_the_settings_there_are_no_counts(settings):
    settings.METRICS_TOKEN = ""
    assert Client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.django_db
def test_requests_lists_and_responses_are_counted_by_what_they_are(settings):
    settings.METRICS_TOKEN = "t"
    listener, track = make_listener(), make_track()
    headers = {"Authorization": f"Bearer {make_token(listener)}"}

    def count(start):
        text = Client().get("/metrics", headers={"Authorization": "Bearer t"}).content.decode()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(start)
        )

    before = [count("musicrec_slates_total"), count('musicrec_responses_total{kind="like"}')]
    Client().post("/recommend", {}, content_type="application/json", headers=headers)
    body = {"track_id": track.track_id, "kind": "like"}
    Client().post("/feedback", body, content_type="application/json", headers=headers)
    after = [count("musicrec_slates_total"), count('musicrec_responses_total{kind="like"}')]
    assert after == [before[0] + 1, before[1] + 1]
    assert count("musicrec_outbox_open") == 2
    labels = 'musicrec_request_seconds_count{method="POST",status="201",view="api-feedback"}'
    assert count(labels) >= 1


def test_a_database_that_is_away_is_503_with_a_time_to_come_again():
    def view(request):
        raise OperationalError('connection to server at "db" failed\nmore')

    answer = DatabaseAway(view)(RequestFactory().get("/"))
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert json.loads(answer.content)["code"] == "database_away"
    assert "connection" not in answer.content.decode()


def test_reads_of_analytics_go_to_the_replica_and_who_asks_does_not():
    router = AnalyticsRouter()
    with override_settings(ANALYTICS_URL="postgres://replica"):
        assert router.db_for_read(Feedback) is None
        with reading_analytics():
            assert router.db_for_read(Feedback) == "analytics"
            assert router.db_for_read(ApiToken) is None
            assert router.db_for_write(Feedback) == "default"
        assert router.db_for_read(Feedback) is None
    with reading_analytics():  # no replica: the primary
        assert router.db_for_read(Feedback) is None


@pytest.mark.parametrize(
    ("method", "path", "reads"),
    [
        ("GET", "/analytics/system-metrics", "analytics"),
        ("POST", "/analytics/system-metrics", None),
        ("GET", "/recommend", None),
    ],
)
def test_only_a_read_below_analytics_is_served_by_the_replica(method, path, reads):
    def view(request):
        assert AnalyticsRouter().db_for_read(Feedback) == reads
        return HttpResponse()

    with override_settings(ANALYTICS_URL="postgres://replica"):
        read_analytics_from_replica(view)(RequestFactory().generic(method, path))


_LOOK = """
import sys
import django
django.setup()
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from accounts.models import User
client = Client(headers={"accept": "text/html"}, raise_request_exception=True)
client.force_login(User.objects.get(email="root@example.com"))
for path in sys.argv[1:]:
    with CaptureQueriesContext(connections["analytics"]) as replica:
        with CaptureQueriesContext(connection) as primary:
            answer = client.get(path, follow=True)
    print(path, answer.status_code, len(replica) > 0)
    asked = [query["sql"] for query in replica.captured_queries]
    assert not any("accounts_user" in sql and "password" in sql for sql in asked), asked
    assert not any("recommendations_trackheat" in sql for sql in asked), asked  # serves everybody
    assert any("django_session" in query["sql"] for query in primary.captured_queries)
"""


@pytest.mark.usefixtures("committed")
def test_the_console_is_served_by_a_replica_that_takes_no_writes(child_environment):
    """A second connection to the same rows stands for the replica: it is read-only as one is."""
    make_user(is_staff=True, is_superuser=True)
    User.objects.update(email="root@example.com")
    listener = make_listener()
    paths = [
        "/analytics",
        "/analytics/system-metrics",
        "/analytics/ab-testing",
        "/analytics/contextual-bandits",
        "/analytics/models",
        f"/analytics/listeners?q={listener.uuid}",
        f"/analytics/listeners/{listener.uuid}",
        "/analytics/catalogue",
        "/analytics/dead-letters",
        "/analytics/audit-log",
    ]
    url = child_environment["DATABASE_URL"]
    read_only = urlencode({"options": "-c default_transaction_read_only=on"}, quote_via=quote)
    replica = f"{url}{'&' if '?' in url else '?'}{read_only}"
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-c", _LOOK, *paths],
        env=child_environment | {"ANALYTICS_DATABASE_URL": replica},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [f"{path} 200 True" for path in paths]
