"""Numbers as Prometheus reads them: its text format, and histograms.

Layer: daemon, pure.  Below: nothing.  Above: metrics.
https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4, read 2026-11-27.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: A value as it is printed; a text is an exact decimal.
Value = int | float | str


class Histogram:
    """How many values were at most each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Page:
    """One answer, family by family."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def counter(self, name: str, text: str, values: Mapping[str, Value], label: str) -> None:
        """name: with `_total`.  values: by the label's value."""
        self._family(name, "counter", text)
        self._lines += [f"{name}{_labels({label: one})} {value}" for one, value in values.items()]

    def gauge(self, name: str, text: str, value: Value | None, kind: str = "gauge") -> None:
        """One number, left out where it is not known."""
        if value is not None:
            self._family(name, kind, text)
            self._lines.append(f"{name} {value}")

    def gauges(
        self, name: str, text: str, values: Iterable[tuple[Mapping[str, str], Value]]
    ) -> None:
        """One number for each set of labels."""
        shown = [f"{name}{_labels(labels)} {value}" for labels, value in values]
        if shown:
            self._family(name, "gauge", text)
            self._lines += shown

    def histogram(self, name: str, text: str, found: Histogram) -> None:
        self._family(name, "histogram", text)
        so_far = 0
        for bound, count in zip((*found.bounds, "+Inf"), found.counts, strict=True):
            so_far += count
            self._lines.append(f'{name}_bucket{{le="{bound}"}} {so_far}')
        self._lines += [f"{name}_sum {found.sum}", f"{name}_count {so_far}"]

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def _family(self, name: str, kind: str, text: str) -> None:
        self._lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _labels(labels: Mapping[str, str]) -> str:
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{shown}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
