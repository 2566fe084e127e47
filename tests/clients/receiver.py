"""An OTLP receiver that shares no code with the agent: grpcio, http.server and Python's protobuf.

It keeps every span, data point and log record it was sent in a canonical form: the item with its resource,
scope and (for points) metric, serialised deterministically. Unknown fields survive in that form, so two
items are equal only if nothing of theirs was lost, added or changed.
"""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections import Counter, defaultdict
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

SERVICES = {
    "traces": ("opentelemetry.proto.collector.trace.v1.TraceService", trace_service_pb2, "ExportTraceService"),
    "metrics": ("opentelemetry.proto.collector.metrics.v1.MetricsService", metrics_service_pb2, "ExportMetricsService"),
    "logs": ("opentelemetry.proto.collector.logs.v1.LogsService", logs_service_pb2, "ExportLogsService"),
}
REQUEST = {signal: getattr(module, prefix + "Request") for signal, (_, module, prefix) in SERVICES.items()}
RESPONSE = {signal: getattr(module, prefix + "Response") for signal, (_, module, prefix) in SERVICES.items()}
# The attribute of the resource by which a client says which of its runs an item belongs to.
RUN_ATTRIBUTE = "client.run"


class Recorder:
    """What arrived, by run and signal: a multiset of canonical items. Safe to use from many threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.items: dict[tuple[str, str], Counter] = defaultdict(Counter)
        self.requests: Counter = Counter()
        self.problems: list[str] = []

    def record(self, transport: str, signal: str, request) -> None:
        found = list(items_of(signal, request))
        with self.lock:
            self.requests[transport] += 1
            for run, item in found:
                self.items[run, signal][item] += 1

    def problem(self, text: str) -> None:
        with self.lock:
            self.problems.append(text)

    def total(self) -> int:
        with self.lock:
            return sum(sum(counter.values()) for counter in self.items.values())

    def snapshot(self) -> dict[tuple[str, str], Counter]:
        with self.lock:
            return {key: Counter(counter) for key, counter in self.items.items()}


def items_of(signal, request):
    """Yields (run, canonical item) for each item of an export request."""
    if signal == "traces":
        for outer in request.resource_spans:
            for inner in outer.scope_spans:
                for span in inner.spans:
                    yield run_of(outer), canonical(trace_pb2.ResourceSpans, "scope_spans", "spans", outer, inner, span)
    elif signal == "logs":
        for outer in request.resource_logs:
            for inner in outer.scope_logs:
                for record in inner.log_records:
                    yield run_of(outer), canonical(logs_pb2.ResourceLogs, "scope_logs", "log_records", outer, inner, record)
    else:
        for outer in request.resource_metrics:
            for inner in outer.scope_metrics:
                for metric in inner.metrics:
                    for single in points_of(metric):
                        yield run_of(outer), canonical(
                            metrics_pb2.ResourceMetrics, "scope_metrics", "metrics", outer, inner, single
                        )


def points_of(metric):
    """Splits a metric into metrics of one data point each."""
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points if kind else []:
        single = type(metric)()
        single.CopyFrom(metric)
        del getattr(single, kind).data_points[:]
        getattr(single, kind).data_points.add().CopyFrom(point)
        yield single


def canonical(envelope_type, inner_field, item_field, outer, inner, item) -> bytes:
    """One item in envelopes of its own, which keep every other field of the envelopes it came in."""
    envelope = envelope_type()
    envelope.CopyFrom(outer)
    envelope.ClearField(inner_field)
    scope = getattr(envelope, inner_field).add()
    scope.CopyFrom(inner)
    scope.ClearField(item_field)
    getattr(scope, item_field).add().CopyFrom(item)
    return envelope.SerializeToString(deterministic=True)


def run_of(outer) -> str:
    for attribute in outer.resource.attributes:
        if attribute.key == RUN_ATTRIBUTE:
            return attribute.value.string_value
    return "?"


def describe(signal: str, item: bytes) -> str:
    """A canonical item as text, for a report."""
    types = {"traces": trace_pb2.ResourceSpans, "metrics": metrics_pb2.ResourceMetrics, "logs": logs_pb2.ResourceLogs}
    return str(types[signal].FromString(item))


class Receiver:
    """A gRPC and an HTTP server on free ports of the loopback interface, with one recorder."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)]
        self.grpc = grpc.server(futures.ThreadPoolExecutor(4), options=options)
        for signal, (name, _, _) in SERVICES.items():
            method = grpc.unary_unary_rpc_method_handler(
                self._export(signal),
                request_deserializer=REQUEST[signal].FromString,
                response_serializer=RESPONSE[signal].SerializeToString,
            )
            self.grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, {"Export": method})])
        self.grpc_port = self.grpc.add_insecure_port("127.0.0.1:0")
        self.grpc.start()
        handler = type("Handler", (HttpHandler,), {"recorder": self.recorder})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.http_port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _export(self, signal):
        def export(request, _context):
            self.recorder.record("grpc", signal, request)
            return RESPONSE[signal]()

        return export

    def stop(self) -> None:
        self.grpc.stop(1).wait()
        self.http.shutdown()
        self.http.server_close()


class HttpHandler(BaseHTTPRequestHandler):
    """POST /v1/{traces,metrics,logs}, protobuf or JSON, identity or gzip."""

    protocol_version = "HTTP/1.1"
    recorder: Recorder

    def do_POST(self) -> None:  # noqa: N802 (the name is the base class's)
        body = self._body()
        signal = self.path.removeprefix("/v1/")
        media_type = self.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if signal not in REQUEST or media_type not in ("application/x-protobuf", "application/json"):
            self.recorder.problem(f"HTTP POST {self.path} with Content-Type {media_type!r}")
            return self._answer(404, "text/plain", b"")
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if media_type == "application/json":
                request, answer = parse_json(REQUEST[signal](), body), b"{}"
            else:
                request, answer = REQUEST[signal].FromString(body), b""
        except (DecodeError, json_format.ParseError, OSError, ValueError) as error:
            self.recorder.problem(f"HTTP POST {self.path} ({media_type}): {error}")
            return self._answer(400, media_type, b"")
        self.recorder.record("http/json" if answer else "http/protobuf", signal, request)
        return self._answer(200, media_type, answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _answer(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args) -> None:
        pass


def parse_json(message, body: bytes):
    """OTLP/JSON is proto3 JSON but for ids, which are hexadecimal where proto3 JSON has base64."""
    return json_format.ParseDict(ids_to_base64(json.loads(body)), message, ignore_unknown_fields=False)


def ids_to_base64(value):
    if isinstance(value, list):
        return [ids_to_base64(element) for element in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(element)).decode()
        if key in ("traceId", "spanId", "parentSpanId") and isinstance(element, str)
        else ids_to_base64(element)
        for key, element in value.items()
    }
