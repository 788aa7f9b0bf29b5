"""A receiver of OTLP/HTTP: decodes every request by OpenTelemetry's own protocol, and checks it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_KINDS = {
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "/v1/metrics": (
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
    ),
}


class Receiver:
    """What came, and what is answered: `status`, and how many items are refused.

    spans: by id, the last one sent counts; `sent` has every id that came.  points: the last one of
    each metric and attributes.  faults: what is wrong with any request.
    """

    def __init__(self) -> None:
        self.spans: dict[bytes, Any] = {}
        self.sent: list[bytes] = []
        self.points: dict[tuple[str, tuple[tuple[str, Any], ...]], Any] = {}
        self.metrics: dict[str, Any] = {}
        self.scopes: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[str] = []
        self.status, self.refused = 200, 0
        self.url = ""
        self.arrived = threading.Condition()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """The answer to one request."""
        if headers.get("content-type") != "application/x-protobuf" or path not in _KINDS:
            self.faults.append(f"{path} with {headers.get('Content-Type')}")
            return 415, b""
        request_type, response_type = _KINDS[path]
        request = request_type.FromString(body)
        answer = response_type()
        with self.arrived:
            self.headers.append(headers)
            if self.status != 200:
                return self.status, b""
            if path == "/v1/traces":
                answer.partial_success.rejected_spans = self.refused
                self._take_spans(request)
            else:
                answer.partial_success.rejected_data_points = self.refused
                self._take_metrics(request)
            self.arrived.notify_all()
        if self.refused:
            answer.partial_success.error_message = "too old"
        return 200, answer.SerializeToString()

    def _take_spans(self, request: Any) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.scopes.append((resource.resource, scope.scope, scope.schema_url))
                for span in scope.spans:
                    self._check_span(span)
                    self.sent.append(span.span_id)
                    self.spans[span.span_id] = span

    def _check_span(self, span: Any) -> None:
        """https://opentelemetry.io/docs/specs/otlp/ and the comments of trace.proto."""
        wrong = [
            len(span.trace_id) != 16 or not any(span.trace_id),
            len(span.span_id) != 8 or not any(span.span_id),
            len(span.parent_span_id) not in (0, 8),
            not 0 < span.start_time_unix_nano <= span.end_time_unix_nano,
            not span.name,
            len({one.key for one in span.attributes}) != len(span.attributes),
            any(one.value.WhichOneof("value") is None for one in span.attributes),
        ]
        if any(wrong):
            self.faults.append(f"span {span}: {wrong}")

    def _take_metrics(self, request: Any) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.metrics[metric.name] = metric
                    data = getattr(metric, metric.WhichOneof("data"))
                    if data.aggregation_temporality != 2:
                        self.faults.append(f"{metric.name} is not cumulative")
                    for point in data.data_points:
                        self._take_point(metric.name, point)

    def _take_point(self, metric: str, point: Any) -> None:
        key = (metric, tuple(sorted(attributes(point).items(), key=str)))
        before = self.points.get(key)
        if not 0 < point.start_time_unix_nano < point.time_unix_nano:
            self.faults.append(f"times of {key}")
        if before is not None and before.start_time_unix_nano != point.start_time_unix_nano:
            self.faults.append(f"{key} began anew")
        if before is not None and before.time_unix_nano > point.time_unix_nano:
            self.faults.append(f"{key} went back in time")
        if hasattr(point, "bucket_counts"):
            if len(point.bucket_counts) != len(point.explicit_bounds) + 1:
                self.faults.append(f"buckets of {key}")
            if sum(point.bucket_counts) != point.count:
                self.faults.append(f"count of {key}")
        self.points[key] = point

    def wait(self, condition: Any, seconds: float = 30.0) -> None:
        """Until something has come."""
        with self.arrived:
            assert self.arrived.wait_for(condition, timeout=seconds), "it never came"


def attributes(item: Any) -> dict[str, Any]:
    """A span's or point's attributes as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in item.attributes}


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = receiver.take(
                self.path, {name.lower(): text for name, text in self.headers.items()}, body
            )
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
