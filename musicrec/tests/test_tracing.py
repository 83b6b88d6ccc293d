"""With tracing switched on, what a collector receives: routes and statements, nobody's data."""

import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.conf import settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from recommendations.tests.factories import make_listener, make_token, make_track

_ASK = """
import sys
from musicrec.wsgi import application
from django.test import Client
from opentelemetry import trace
from recommendations.tasks import beat_alive

token, track = sys.argv[1:]
client = Client(headers={"Authorization": f"Bearer {token}"})
print(client.get("/readyz", headers={"host": "10.0.3.17:8000"}).status_code)
print(client.get("/tracks?q=mia@example.com").status_code)
body = {"track_id": track, "kind": "like"}
print(client.post("/feedback", body, content_type="application/json").status_code)
beat_alive.apply()
trace.get_tracer_provider().shutdown()
"""


@pytest.fixture
def collector():
    """A server that keeps the spans it is sent, as OTLP over HTTP prescribes."""
    spans = []

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sent = ExportTraceServiceRequest.FromString(body)
            for resource in sent.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("committed")
def test_a_collector_receives_each_request_by_its_route_with_its_statements(
    collector, child_environment
):
    endpoint, spans = collector
    listener, track = make_listener(), make_track()
    token = make_token(listener)
    environment = child_environment | {
        "MUSICREC_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_SERVICE_NAME": "musicrec-test",
    }
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "-c", _ASK, token, track.track_id],
        env=environment,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["200", "200", "201"], done.stderr
    by_name = {span.name: span for span in spans}
    assert {"GET tracks", "POST feedback"} <= set(by_name)
    assert not [name for name in by_name if "readyz" in name]
    feedback = by_name["POST feedback"]
    below = [span for span in spans if span.parent_span_id == feedback.span_id]
    statements = {
        attribute.value.string_value
        for span in below
        for attribute in span.attributes
        if attribute.key in ("db.statement", "db.query.text")
    }
    assert any("recommendations_feedback" in statement for statement in statements)
    assert any("beat_alive" in name for name in by_name)
    told = str(spans)
    assert "127.0.0.1" not in told
    for private in ("mia@example", token, track.track_id):
        assert private not in told
