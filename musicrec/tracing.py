"""OpenTelemetry, where it is asked for by ``MUSICREC_TRACING=true``.

A span for each request, named by its route, with one below it for every statement that the
database was asked; and one for each task.  Where spans go and under which name is said by
OpenTelemetry's own variables, for example ``OTEL_EXPORTER_OTLP_ENDPOINT`` and
``OTEL_SERVICE_NAME``.  Statements are recorded with placeholders and never with their values, and
requests without what the caller wrote into the address, and without where it came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_PRIVATE = ("http.url", "http.target", "url.full", "url.path", "url.query")
_PEER = ("net.peer.ip", "net.peer.port", "client.address", "client.port", "http.user_agent")


def start() -> None:
    """Trace this process; call it before Django loads its middleware, and after any fork."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    # Below the probes: they are asked under any Host, which the span's address would refuse.
    position = settings.MIDDLEWARE.index("musicrec.middleware.answer_probes") + 1
    DjangoInstrumentor().instrument(middleware_position=position, request_hook=keep_to_the_route)
    Psycopg2Instrumentor().instrument()
    CeleryInstrumentor().instrument()


def keep_to_the_route(span: Span, request: HttpRequest) -> None:
    """Take out of a request's span what a caller wrote, and who the caller is.

    An address can hold the key of a password's reset, an e-mail or a search; the route, which
    names the span, tells as much of what was slow.
    """
    for name in (*_PRIVATE, *_PEER):
        if name in (getattr(span, "attributes", None) or {}):
            span.set_attribute(name, "[removed]")
