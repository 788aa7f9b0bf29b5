"""The tree of steps in a report: what each cost by itself, and with everything below it.

Layer: reports, pure.  Below: totals.  Above: render.report.
A step is a path, `graph/research/tool:search`; the ledger has those that made calls, and the tree
also has the steps above them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from noburn_cli.reports.totals import KNOWN, Report, Sums, Unpriced

BY = ("step",)


@dataclass(frozen=True)
class Step:
    """One step of the tree.

    path: its whole path.  depth: how many steps it is below.
    own: the calls made in it.  total: those and all made below it.
    own_unpriced, unpriced: of these, calls whose cost nobody knows.
    """

    path: str
    depth: int
    own: Sums
    total: Sums
    own_unpriced: Unpriced = KNOWN
    unpriced: Unpriced = KNOWN

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def step_tree(report: Report) -> list[Step]:
    """The steps of a report by step: each before those below it, the dearest first."""
    own = {tuple(line.keys[0].split("/")): line.sums for line in report.lines}
    lacking = {tuple(keys[0].split("/")): one for keys, one in report.imported.unpriced_by.items()}
    totals: dict[tuple[str, ...], Sums] = {}
    unpriced: dict[tuple[str, ...], Unpriced] = {}
    for path, sums in own.items():
        more = lacking.get(path, KNOWN)
        for above in (path[:length] for length in range(1, len(path) + 1)):
            totals[above] = totals.get(above, Sums()) + sums
            unpriced[above] = unpriced.get(above, KNOWN).joined(more)
    below: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for path in totals:
        below.setdefault(path[:-1], []).append(path)

    def order(path: tuple[str, ...]) -> tuple[int, int, int, tuple[str, ...]]:
        total = totals[path]
        return (-total.cost_nano, -total.notional_nano, -total.calls, path)

    def walk(parent: tuple[str, ...]) -> Iterator[Step]:
        for path in sorted(below.get(parent, ()), key=order):
            yield Step(
                "/".join(path), len(path) - 1, own.get(path, Sums()), totals[path],
                lacking.get(path, KNOWN), unpriced[path],
            )  # fmt: skip
            yield from walk(path)

    return list(walk(()))
