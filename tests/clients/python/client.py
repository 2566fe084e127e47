"""A stock Python SDK program: every item goes to a reference receiver and, the same item, to the subject.

python_client.py RUN...    with RUN = grpc:none, grpc:gzip, http/protobuf:none, http/protobuf:gzip
REFERENCE, SUBJECT_GRPC and SUBJECT_HTTP hold base URLs. Exits non-zero if any export was refused.
"""

import json
import os
import sys
import time

import grpc
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

REFERENCE = os.environ["REFERENCE"]
ATTRIBUTES = {
    "string": "zażółć gęślą jaźń",
    "empty": "",
    "long": "x" * 5000,
    "true": True,
    "false": False,
    "zero": 0,
    "smallest": -(2**63),
    "largest": 2**63 - 1,
    "double": 0.1,
    "negative.zero": -0.0,
    "huge": 1.7976931348623157e308,
    "strings": ["a", "", "ü"],
    "integers": [1, -2, 2**40],
    "doubles": [0.5, -1e-300],
    "booleans": [True, False],
    "no.strings": [],
}
failures = 0


def watched(exporter):
    """Counts the exports that `exporter` reports as failed; it is otherwise the stock one."""
    stock = exporter.export

    def export(*arguments, **keywords):
        global failures
        result = stock(*arguments, **keywords)
        failures += result.name != "SUCCESS"
        return result

    exporter.export = export
    return exporter


class Both(MetricExporter):
    """Hands one collection to two exporters, so that both send the same times."""

    def __init__(self, exporters, preferred_temporality):
        super().__init__(preferred_temporality=preferred_temporality)
        self.exporters = exporters

    def export(self, metrics_data, timeout_millis=10_000, **_):
        results = [exporter.export(metrics_data, timeout_millis) for exporter in self.exporters]
        good = all(result is MetricExportResult.SUCCESS for result in results)
        return MetricExportResult.SUCCESS if good else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **_):
        for exporter in self.exporters:
            exporter.shutdown()


def exporters(protocol, compression):
    """(reference, subject) for each signal."""
    reference = [HttpSpans(f"{REFERENCE}/v1/traces"), HttpMetrics(f"{REFERENCE}/v1/metrics"), HttpLogs(f"{REFERENCE}/v1/logs")]
    if protocol == "grpc":
        chosen = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        keywords = {"endpoint": os.environ["SUBJECT_GRPC"], "insecure": True, "compression": chosen}
        subject = [GrpcSpans(**keywords), GrpcMetrics(**keywords), GrpcLogs(**keywords)]
    else:
        base = os.environ["SUBJECT_HTTP"]
        chosen = Compression.Gzip if compression == "gzip" else Compression.NoCompression
        subject = [
            HttpSpans(f"{base}/v1/traces", compression=chosen),
            HttpMetrics(f"{base}/v1/metrics", compression=chosen),
            HttpLogs(f"{base}/v1/logs", compression=chosen),
        ]
    return [(watched(a), watched(b)) for a, b in zip(reference, subject)]


def send_traces(resource, pair):
    provider = TracerProvider(resource=resource)
    for exporter in pair:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("client.traces", "1.2.3", schema_url="https://opentelemetry.io/schemas/1.37.0")
    other = provider.get_tracer("client.other", attributes={"scope.attribute": 7})
    state = TraceState([("vendor", "value"), ("ot", "th:8")])
    remote = SpanContext(0xABCDEF << 64 | 1, 0x1234, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    made = 0
    for number in range(12):
        parent = trace.set_span_in_context(trace.NonRecordingSpan(remote)) if number % 3 == 0 else None
        kind = list(SpanKind)[number % 5]
        links = [Link(remote, {"link.number": number})] if number % 2 else None
        with tracer.start_as_current_span(f"operation {number}", parent, kind, ATTRIBUTES, links) as span:
            span.add_event("event", {"event.number": number, **ATTRIBUTES})
            span.add_event("bare event")
            if number % 4 == 0:
                span.set_status(Status(StatusCode.ERROR, "it broke: ☂"))
                span.record_exception(ValueError("no such thing"))
            elif number % 4 == 1:
                span.set_status(Status(StatusCode.OK))
            with other.start_as_current_span("child"):
                made += 1
            made += 1
    provider.shutdown()
    return made


def send_metrics(resource, pair, temporality):
    chosen = {Counter: temporality, Histogram: temporality}
    reader = PeriodicExportingMetricReader(Both(pair, chosen), export_interval_millis=3_600_000)
    views = [View(instrument_name="exponential.*", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([reader], resource, views=views, exemplar_filter=AlwaysOnExemplarFilter())
    meter = provider.get_meter("client.metrics", "3.1", schema_url="https://opentelemetry.io/schemas/1.37.0")
    counter = meter.create_counter("requests", "{request}", "Requests, by route")
    doubles = meter.create_counter("seconds", "s")
    updown = meter.create_up_down_counter("in.flight")
    gauge = meter.create_gauge("temperature", "Cel")
    histogram = meter.create_histogram("duration", "s", explicit_bucket_boundaries_advisory=[0.0, 0.1, 1.0, 10.0])
    exponential = meter.create_histogram("exponential.size", "By")
    meter.create_observable_gauge("observed", [lambda _: [Observation(-7, {"kind": "int"}), Observation(2.5, {"kind": "double"})]])
    tracer = TracerProvider().get_tracer("exemplars")
    for _ in range(2):
        for number in range(5):
            with tracer.start_as_current_span("measured"):
                counter.add(2**40 * number, {"route": f"/{number}"})
                doubles.add(0.25 * number, ATTRIBUTES)
                updown.add(-number)
                gauge.set(-3.5 * number, {"room": "ü"})
                histogram.record(0.07 * number, {"route": f"/{number}"})
                exponential.record(3.0**number)
                exponential.record(0)
        provider.force_flush()
    provider.shutdown()


def send_logs(resource, pair):
    provider = LoggerProvider(resource)
    for exporter in pair:
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("client.logs", "0.9")
    tracer = TracerProvider().get_tracer("correlated")
    bodies = ["text", "", 42, -1.5, True, ["a", 1, [None, 2.5]], {"key": {"nested": [1, "two"]}}, b"\x00\xff\xfe"]
    made = 0
    for number, body in enumerate(bodies):
        severity = list(SeverityNumber)[number * 3 % 25]
        with tracer.start_as_current_span("logged"):
            logger.emit(
                LogRecord(
                    timestamp=time.time_ns(),
                    severity_number=severity,
                    severity_text=severity.name,
                    body=body,
                    attributes={**ATTRIBUTES, "map": {"a": {"b": 1}}, "bytes": b"\x01\x80", "mixed": [1, "a", None]},
                    event_name="client.event" if number % 2 else None,
                )
            )
        logger.emit(LogRecord(observed_timestamp=time.time_ns(), body="without a span"))
        made += 2
    provider.shutdown()
    return made


def main():
    for run in sys.argv[1:]:
        protocol, compression = run.split(":")
        resource = Resource.create({"service.name": "python-client", "client.run": f"python {run}", "list": ["a", "b"]})
        traces, metrics, logs = exporters(protocol, compression)
        delta = compression == "gzip"
        temporality = AggregationTemporality.DELTA if delta else AggregationTemporality.CUMULATIVE
        made = {"traces": send_traces(resource, traces), "logs": send_logs(resource, logs)}
        send_metrics(resource, metrics, temporality)
        print(json.dumps({"run": f"python {run}", "made": made}), flush=True)
    if failures:
        sys.exit(f"{failures} exports failed")


main()
