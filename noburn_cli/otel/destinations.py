"""Where spans and metrics go: files of JSON lines, or an OTLP/HTTP endpoint.

Layer: otel, I/O.  Below: opentelemetry's OTLP exporter and encoders.  Above: job.
The files follow https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/ (one request a
line, one kind of data a file), their JSON
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (ids in hexadecimal), both read
2026-11-27.  Sending, with its retries, compression, certificates and headers by
OTEL_EXPORTER_OTLP_… is the exporter's.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    import requests
    from google.protobuf.message import Message
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

_IDS = ("traceId", "spanId", "parentSpanId")
_LOGGER = "opentelemetry.exporter.otlp.proto.http"


class Destination(Protocol):
    """Where a step goes.  Each method returns what it has of it, in bytes, where that is kept."""

    def spans(self, spans: Sequence[ReadableSpan]) -> int:
        """Deliver spans.  Raises NoburnError when they were not taken."""

    def metrics(self, data: MetricsData) -> int:
        """Deliver data points.  Raises NoburnError when they were not taken."""

    def close(self) -> None:
        """Let go of it."""


class Files:
    """JSON lines: spans in one file, metrics in another; either may be missing."""

    def __init__(self, spans: Lines | None, metrics: Lines | None) -> None:
        self._spans, self._metrics = spans, metrics

    def spans(self, spans: Sequence[ReadableSpan]) -> int:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

        assert self._spans is not None
        return self._spans.add(encode_spans(spans)) if spans else self._spans.position

    def metrics(self, data: MetricsData) -> int:
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

        assert self._metrics is not None
        return self._metrics.add(encode_metrics(data))

    def close(self) -> None:
        for lines in (self._spans, self._metrics):
            if lines is not None:
                lines.close()


class Lines(Protocol):
    """Where JSON lines go.  position: its size in bytes, so far."""

    position: int

    def add(self, request: Message) -> int:
        """Write one line; the size after it."""

    def close(self) -> None:
        """Let go of it."""


class Stream:
    """Standard output; nothing of it is remembered."""

    def __init__(self, out: TextIO) -> None:
        self._out, self.position = out, 0

    def add(self, request: Message) -> int:
        self._out.write(as_line(request))
        return 0

    def close(self) -> None:
        self._out.flush()


class LinesFile:
    """One file, gone on with after what was remembered of it.

    position: its size then, or None for a file that is to be new; `restart` empties one that is
    not.  Raises UsageError when it holds something else, NoburnError when it cannot be written.
    """

    def __init__(self, path: Path, position: int | None, *, restart: bool = False) -> None:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no regular file", next_step="name another one, or -")
        size = path.stat().st_size if path.exists() else 0
        if position is None and size and not restart:
            raise UsageError(
                f"{path} is there already, and is not of an export that goes on",
                next_step="name another file, or write it anew with --restart",
            )
        if position is not None and size < position:
            raise NoburnError(
                f"{path} is shorter than what was exported into it",
                next_step="export everything again with --restart",
            )
        self._path = path
        try:
            self._file = path.open("r+b" if path.exists() else "wb")
            # A line that was written and not remembered is written again.
            self._file.truncate(position or 0)
        except OSError as error:
            raise _unwritten(path, error) from error
        self._file.seek(position or 0)
        self.position = position or 0

    def add(self, request: Message) -> int:
        """Write one line, on the disk; the file's size after it.  Raises NoburnError."""
        try:
            self._file.write(as_line(request).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritten(self._path, error) from error
        self.position = self._file.tell()
        return self.position

    def close(self) -> None:
        self._file.close()


def _unwritten(path: Path, error: OSError) -> NoburnError:
    return NoburnError(
        f"{path} could not be written",
        why=error.strerror or str(error),
        next_step="mend that and run the same command again: it goes on from there",
    )


def as_line(request: Message) -> str:
    """A request as OTLP's JSON, which writes ids in hexadecimal where protobuf's has base64."""
    from google.protobuf.json_format import MessageToDict

    found = MessageToDict(request, use_integers_for_enums=True)
    for resource in found.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                _with_hex_ids(span)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n"


def _with_hex_ids(span: dict[str, Any]) -> None:
    for name in _IDS:
        if name in span:
            span[name] = base64.b64decode(span[name]).hex()


#: With one of these the exporter makes a session of its own, which may carry a login.
_CREDENTIALS = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_{}CREDENTIAL_PROVIDER"


class Endpoint:
    """An OTLP/HTTP receiver.  url: its base, without /v1/…; None for what the environment says."""

    def __init__(self, url: str | None) -> None:
        import requests
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        logins = [_CREDENTIALS.format(signal) for signal in ("", "TRACES_", "METRICS_")]
        session = None if any(os.environ.get(name) for name in logins) else requests.Session()
        self._said = _Said(session)
        traces, metrics = (
            None if url is None else f"{url.rstrip('/')}/v1/{signal}"
            for signal in ("traces", "metrics")
        )
        self._traces = OTLPSpanExporter(traces, session=session)
        self._metrics = OTLPMetricExporter(metrics, session=session)

    def spans(self, spans: Sequence[ReadableSpan]) -> int:
        from opentelemetry.sdk.trace.export import SpanExportResult

        if spans:
            with self._said as said:
                result = self._traces.export(spans)
            said.check("spans", result is SpanExportResult.SUCCESS)
        return 0

    def metrics(self, data: MetricsData) -> int:
        from opentelemetry.sdk.metrics.export import MetricExportResult

        with self._said as said:
            result = self._metrics.export(data)
        said.check("metrics", result is MetricExportResult.SUCCESS)
        return 0

    def close(self) -> None:
        self._traces.shutdown()  # type: ignore[no-untyped-call]
        self._metrics.shutdown()


class _Said(logging.Handler):
    """What the exporter's log and the receiver's answer say of one request.

    The exporter returns success or failure, and tells the rest to its log; an answer that takes
    only a part (`partial_success`) is a success to it.
    """

    def __init__(self, session: requests.Session | None) -> None:
        super().__init__(logging.WARNING)
        self._words: list[str] = []
        self._answer: requests.Response | None = None
        if session is not None:
            session.hooks["response"].append(self._answered)

    def __enter__(self) -> _Said:
        self._words, self._answer = [], None
        logger = logging.getLogger(_LOGGER)
        logger.addHandler(self)
        self._propagated, logger.propagate = logger.propagate, False
        return self

    def __exit__(self, *_error: object) -> None:
        logger = logging.getLogger(_LOGGER)
        logger.removeHandler(self)
        logger.propagate = self._propagated

    def emit(self, record: logging.LogRecord) -> None:
        self._words.append(record.getMessage())

    def _answered(self, answer: requests.Response, *_more: Any, **_options: Any) -> None:
        self._answer = answer

    def check(self, what: str, taken: bool) -> None:
        """Raises NoburnError when the receiver did not take everything."""
        if not taken:
            words = dict.fromkeys((*self._words[:1], *self._words[-1:]))
            why = " ".join(words) or "the exporter does not say why"
            raise _not_taken(f"the {what} were not taken", why)
        refused, message = _refused(what, self._answer)
        if refused:
            why = message or "it does not say why"
            raise _not_taken(f"the receiver refused {refused} of the {what}", why)


def _not_taken(message: str, why: str) -> NoburnError:
    next_step = "mend that and run the same command again: it goes on from there"
    error = NoburnError(message, why=why, next_step=next_step)
    error.may_retry = True
    return error


def _refused(what: str, answer: requests.Response | None) -> tuple[int, str]:
    """How many items an answer of success refuses, and its message."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceResponse,
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    if answer is None or "protobuf" not in answer.headers.get("Content-Type", ""):
        return 0, ""
    try:
        if what == "spans":
            spans = ExportTraceServiceResponse.FromString(answer.content).partial_success
            return spans.rejected_spans, spans.error_message
        points = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    except DecodeError:
        return 0, ""
    return points.rejected_data_points, points.error_message
