"""The ledger's side of a reconciliation: what was charged, by day, model and scope.

Layer: reconcile, I/O.  Below: reports.reading, core.pricebook.  Above: matching.
Owns: OurLine and OurCall.  Calls that a subscription pays for are on nobody's API bill, and left
out; so are those in flight.  A call belongs to the day, in UTC, on which it was reserved.
Not here: what a provider says (bill).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.core.usage import KINDS, REASONING
from noburn_cli.errors import NoburnError
from noburn_cli.reports.reading import reading

if TYPE_CHECKING:
    import apsw

SETTLED, VOIDED = "settled", "voided"
UNBILLED = ("uncertain", "orphaned")

_CALLS = f"""
    SELECT c.call, c.state, coalesce(c.resolved_model, c.model), c.api, c.reserved_at_ms,
      c.closed_at_ms, x.text,
      c.cost_nano, c.provider_id, {", ".join(f"c.{kind}" for kind in KINDS)}, c.extra
    FROM calls AS c JOIN journal AS r ON r.call = c.call AND r.kind = 'reserve'
    LEFT JOIN names AS x ON x.id = r.context
    WHERE c.state IN ('settled', 'uncertain', 'orphaned', 'voided')
      AND c.reserved_at_ms >= ? AND c.reserved_at_ms < ?
      AND coalesce(json_extract(c.detail, '$.notional'), 0) = 0
"""  # noqa: S608 - our own names
#: Amounts that were booked against a day, a model and attributes; those against a call name it.
_CORRECTIONS = f"""
    SELECT j.call, x.text, json_extract(m.text, '$[2]'), json_extract(j.detail, '$.for_ms'),
      json_extract(j.detail, '$.provider'), json_extract(j.detail, '$.requests'), j.cost_nano,
      {", ".join(f"j.{kind}" for kind in KINDS)}, j.extra
    FROM journal AS j JOIN names AS x ON x.id = j.context JOIN names AS m ON m.id = j.model
    WHERE j.kind = 'correction' AND j.cost_nano IS NOT NULL
      AND json_extract(j.detail, '$.for_ms') >= ? AND json_extract(j.detail, '$.for_ms') < ?
"""  # noqa: S608 - our own names

#: (day, model, scope).
Place = tuple[str, str, str]


@dataclass
class OurCall:
    """One call that a bill may name, or that has none; charged: nano-dollars, corrections in."""

    call: str
    state: str
    api: str
    model: str
    day: str
    reserved_at_ms: int
    attributes: str
    charged: int
    tokens: Counter[str]
    provider_id: str | None = None
    closed_day: str = ""


@dataclass
class OurLine:
    """What a day, a model and a scope came to; amounts in nano-dollars.

    settled, corrected: what bills and earlier corrections say; unbilled: charged at the hold.
    requests, tokens: of settled calls and corrections, of which there are `corrections`.
    shares: what is charged, by attributes.  overnight: settled calls that ended on a later day.
    """

    api: str = ""
    requests: int = 0
    settled: int = 0
    corrected: int = 0
    corrections: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    unbilled: list[OurCall] = field(default_factory=list)
    shares: Counter[str] = field(default_factory=Counter)
    overnight: list[OurCall] = field(default_factory=list)

    def add_settled(self, call: OurCall, times: int = 1) -> None:
        """Count a call that has its bill; times -1 takes it away again."""
        self.requests += times
        self.settled += times * call.charged
        self.shares[call.attributes] += times * call.charged
        self.tokens.update({kind: times * count for kind, count in call.tokens.items()})

    @property
    def uncertain(self) -> int:
        return sum(call.charged for call in self.unbilled)

    @property
    def total(self) -> int:
        return self.settled + self.corrected + self.uncertain


@dataclass
class Ours:
    """The ledger's side.

    named: calls that the export names by request, kept out of the lines.
    last_correction: the row of the newest one: two corrections on one state of the books are one.
    """

    lines: dict[Place, OurLine] = field(default_factory=dict)
    named: dict[str, OurCall] = field(default_factory=dict)
    last_correction: int = 0


@dataclass(frozen=True)
class Wanted:
    """Which calls: of these days (milliseconds, end excluded) and providers.

    provider_of: the provider that bills a model, by its name.  scope_of: the scope of attributes.
    requests: ids that the export names.
    """

    from_ms: int
    until_ms: int
    providers: Set[str]
    provider_of: Callable[[str], str]
    scope_of: Callable[[Mapping[str, str]], str]
    requests: Set[str]


def read_ours(ledger_path: Path, wanted: Wanted) -> Ours:
    """Add up the ledger's calls and corrections.

    Raises LedgerUnavailable; NoburnError for days that were compacted.
    """
    found = Ours()
    compacted = "SELECT value FROM meta WHERE key = 'compacted_before_ms'"
    newest = "SELECT coalesce(max(seq), 0) FROM journal WHERE kind = 'correction'"
    with reading(ledger_path) as connection:
        before_ms = int(next(iter(connection.execute(compacted)), ("0",))[0])
        if wanted.from_ms < before_ms:
            raise _compacted(day_of(before_ms))
        found.last_correction = int(next(iter(connection.execute(newest)))[0])
        by_call: dict[str, OurCall] = {}
        for call in _calls(connection, wanted):
            name = _named(call, wanted.requests)
            if name is not None:
                found.named[name] = by_call[call.call] = call
            elif call.state != VOIDED:
                _add(found.lines, call, wanted)
        _add_corrections(connection, wanted, found, by_call)
    return found


def _compacted(first: str) -> NoburnError:
    return NoburnError(
        f"calls from before {first} were compacted: they have no days any more",
        why="beside the bill of a day they would look like calls that were never made",
        next_step=f"compare what came after: --since {first}",
    )


def _named(call: OurCall, requests: Set[str]) -> str | None:
    return next((one for one in (call.provider_id, call.call) if one and one in requests), None)


def _calls(connection: apsw.Connection, wanted: Wanted) -> Iterator[OurCall]:
    for row in connection.execute(_CALLS, (wanted.from_ms, wanted.until_ms)):
        call, state, model, api, at_ms, closed_ms, attributes, nano, provider_id, *usage, extra = (
            row
        )
        if wanted.provider_of(model) in wanted.providers:
            tokens = _tokens(usage, extra)
            yield OurCall(
                call, state, api, model, day_of(at_ms), at_ms, attributes or "{}", nano or 0,
                tokens, provider_id, day_of(closed_ms or at_ms),
            )  # fmt: skip


def _tokens(usage: list[Any], extra: str | None) -> Counter[str]:
    """Counts by kind; how many of the output were reasoning is no kind of its own."""
    pairs = zip(KINDS, usage, strict=True)
    tokens = Counter({kind: n for kind, n in pairs if n and kind != REASONING})
    if extra:
        tokens.update(json.loads(extra))
    return tokens


def _add(lines: dict[Place, OurLine], call: OurCall, wanted: Wanted) -> None:
    scope = wanted.scope_of(json.loads(call.attributes))
    line = lines.setdefault((call.day, call.model, scope), OurLine(call.api))
    if call.state in UNBILLED:
        line.shares[call.attributes] += call.charged
        line.unbilled.append(call)
        return
    line.add_settled(call)
    if call.closed_day > call.day:
        line.overnight.append(call)


def _add_corrections(
    connection: apsw.Connection, wanted: Wanted, found: Ours, by_call: Mapping[str, OurCall]
) -> None:
    for row in connection.execute(_CORRECTIONS, (wanted.from_ms, wanted.until_ms)):
        call, attributes, model, for_ms, provider, requests, nano, *usage, extra = row
        if provider not in wanted.providers and wanted.provider_of(model) not in wanted.providers:
            continue
        tokens = _tokens(usage, extra)
        if call in by_call:
            by_call[call].charged += nano
            by_call[call].tokens.update(tokens)
            continue
        attributes = attributes or "{}"
        scope = wanted.scope_of(json.loads(attributes))
        line = found.lines.setdefault((day_of(for_ms), model, scope), OurLine())
        line.corrected += nano
        line.corrections += 1
        line.requests += requests or 0
        line.tokens.update(tokens)
        line.shares[attributes] += nano


def day_of(at_ms: int) -> str:
    """The day, in UTC, of a moment."""
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc):%Y-%m-%d}"
