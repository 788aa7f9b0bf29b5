"""The metrics of the conventions, and what calls cost, as data points of the OpenTelemetry SDK.

Layer: otel.  Below: conventions, sums, reading, spans (labels); opentelemetry-sdk.  Above: job.
Owns: which event counts in which series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from noburn_cli.core.usage import billed_total, input_total
from noburn_cli.otel import conventions as names
from noburn_cli.otel.reading import Call, Ended, Event
from noburn_cli.otel.spans import SCOPE, Attributes
from noburn_cli.otel.sums import Counts, Series

_NANO = 10**9
_CUMULATIVE = AggregationTemporality.CUMULATIVE
#: name -> (unit, description, bounds), in the order in which they are sent.
METRICS: dict[str, tuple[str, str, Sequence[float]]] = {
    names.TOKEN_USAGE: (
        names.TOKEN_UNIT, "Number of input and output tokens used.", names.TOKEN_BOUNDS,
    ),
    names.DURATION: (names.DURATION_UNIT, "GenAI operation duration.", names.DURATION_BOUNDS),
    names.COST: (names.COST_UNIT, "What calls cost, corrections included.", ()),
    names.NOTIONAL_COST: (
        names.COST_UNIT, "What calls that a subscription pays for come to at list price.", (),
    ),
}  # fmt: skip

Recall = Callable[[Series], Counts]


def counted(
    ended: Ended, labels: Callable[[Call], Attributes], recall: Recall
) -> dict[Series, Counts]:
    """The series that some rows changed, with their counts after them.

    recall: the counts of a series before.
    """
    changed: dict[Series, Counts] = {}

    def add(metric: str, attributes: Attributes, value: float) -> None:
        series = Series.of(metric, attributes)
        if series not in changed:
            changed[series] = recall(series)
        changed[series].add(value)

    for event in ended.events:
        call = ended.calls.get(event.correction or event.call or "")
        if call is not None:
            _count(event, call, labels(call), add)
    return changed


def _count(
    event: Event, call: Call, labels: Attributes, add: Callable[[str, Attributes, float], None]
) -> None:
    answered = {**labels, names.RESPONSE_MODEL: call.served_model}
    if event.usage is not None:
        tokens_in = input_total(event.usage)
        add(names.TOKEN_USAGE, {**answered, names.TOKEN_TYPE: "input"}, tokens_in)
        tokens_out = billed_total(event.usage) - tokens_in
        add(names.TOKEN_USAGE, {**answered, names.TOKEN_TYPE: "output"}, tokens_out)
    if event.latency_ms is not None:
        failed = names.error_type(call.state, event.status)
        add(names.DURATION, {**answered, names.ERROR_TYPE: failed}, event.latency_ms / 1000)
    if event.added_nano:
        whose = {names.OWN + "customer": call.customer, names.OWN + "feature": call.feature}
        name = names.NOTIONAL_COST if call.notional else names.COST
        add(name, {**labels, **whose}, event.added_nano)


def metrics_data(
    changed: dict[Series, Counts], *, resource: Resource, start_ns: int, time_ns: int
) -> MetricsData:
    """Data points of series at one moment, cumulative since another."""
    metrics = []
    for name, (unit, description, bounds) in METRICS.items():
        found = [(series, counts) for series, counts in changed.items() if series.metric == name]
        if not found:
            continue
        data = (
            Histogram(list(_distributions(found, start_ns, time_ns)), _CUMULATIVE)
            if bounds
            else Sum(list(_amounts(found, start_ns, time_ns)), _CUMULATIVE, is_monotonic=False)
        )
        metrics.append(Metric(name, description, unit, data))
    scope = ScopeMetrics(SCOPE, metrics, names.SCHEMA_URL)
    return MetricsData([ResourceMetrics(resource, [scope], names.SCHEMA_URL)])


def _distributions(
    found: Iterable[tuple[Series, Counts]], start_ns: int, time_ns: int
) -> Iterable[HistogramDataPoint]:
    for series, counts in found:
        yield HistogramDataPoint(
            dict(series.attributes), start_ns, time_ns, counts.count, counts.total,
            counts.buckets, counts.bounds, counts.low, counts.high,
        )  # fmt: skip


def _amounts(
    found: Iterable[tuple[Series, Counts]], start_ns: int, time_ns: int
) -> Iterable[NumberDataPoint]:
    """In dollars: the nearest binary fraction, as OpenTelemetry has no decimals."""
    for series, counts in found:
        yield NumberDataPoint(dict(series.attributes), start_ns, time_ns, counts.total / _NANO)
