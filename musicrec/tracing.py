"""OpenTelemetry, where it is installed and asked for: ``pip install musicrec[otel]``.

Where spans go and under which name is said by OpenTelemetry's own variables, for example
``OTEL_EXPORTER_OTLP_ENDPOINT`` and ``OTEL_SERVICE_NAME``.
"""


def start() -> None:
    """Trace every request of this process; call it before Django loads its middleware.

    Raises:
        RuntimeError: the packages are not installed.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.django import DjangoInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise RuntimeError(
            "MUSICREC_TRACING is true, and OpenTelemetry is not installed: "
            "pip install 'musicrec[otel]'"
        ) from error
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
