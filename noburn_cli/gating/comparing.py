"""One gate from beginning to end: both sides read, paired, measured, priced and judged.

Layer: I/O.  Below: gating.places, gating.sides, gating.pairing, gating.costing,
gating.expecting, gating.explaining, core.gate_costs, core.gate_growth, core.gate_rules,
core.gate_totals.  Above: commands.gate.
Not here: how it is shown, and recorded runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.announcing import announced, announced_lines
from noburn_cli.core.gate_costs import Terms, causes, prompt_cost
from noburn_cli.core.gate_growth import Replaced, growth_unchecked
from noburn_cli.core.gate_held import rules_held
from noburn_cli.core.gate_model import (
    ADDED,
    ERROR,
    KNOWN,
    READABLE,
    REMOVED,
    Cause,
    Change,
    Finding,
    GateResult,
    PromptCost,
)
from noburn_cli.core.gate_rules import check, has_growth_rule
from noburn_cli.core.gate_tables import GateSpec, PromptSpec
from noburn_cli.core.gate_totals import no_prompts, totals
from noburn_cli.core.price_notices import RETIRED
from noburn_cli.errors import LedgerUnavailable, NoburnError
from noburn_cli.gating.costing import Coster, Ways, ways_of
from noburn_cli.gating.expecting import Expecting, Numbers, from_learned, shared
from noburn_cli.gating.explaining import Measured, steps
from noburn_cli.gating.pairing import paired, same_table
from noburn_cli.gating.places import Place, Question
from noburn_cli.gating.prompts import Prompt
from noburn_cli.gating.sides import Both, Read, read_both
from noburn_cli.gating.volumes import Volumes


def run_gate(
    question: Question, *, ledger_path: Path, at_ms: int
) -> tuple[GateResult, GateSpec, Place]:
    """Compare and judge; the result, the [gate] that was obeyed, and where it lies.

    at_ms: the moment whose prices and calls count; both sides are priced at it.
    Raises UsageError for a configuration that cannot be obeyed, LedgerUnavailable where the ledger
    is asked for and not there, NoburnError where git or a price book fails.
    """
    place = Place(question)
    with ExitStack() as stack:
        blobs = None
        if place.repository is not None:
            blobs = stack.enter_context(place.repository.blobs())
        both = read_both(question, place, blobs)
    comparison = _Comparison(both, ledger_path=ledger_path, at_ms=at_ms)
    return comparison.result(), both.now.gate, place


@dataclass(frozen=True)
class _Sent:
    """A prompt of one side that can be measured: how it is sent, and with which book."""

    prompt: Prompt
    read: Read
    coster: Coster
    ways: Ways
    model: str


class _Comparison:
    """Findings and notes gather while prompts are compared one by one."""

    def __init__(self, both: Both, *, ledger_path: Path, at_ms: int) -> None:
        self._both = both
        self._at_ms = at_ms
        self._now = Coster(both.now.book, at_ms=at_ms)
        self._then = self._now
        if both.before is not None and both.before.book is not both.now.book:
            self._then = Coster(both.before.book, at_ms=at_ms)
        self._expecting = Expecting(Volumes(ledger_path, now_ms=at_ms, saved=both.saved))
        self._findings: list[Finding] = []
        self._notes: dict[str, None] = dict.fromkeys(both.notes)

    def result(self) -> GateResult:
        self._tell_faults()
        both, changes = self._both, self._changes()
        gate = both.now.gate
        after = totals(
            [one.after for one in changes if one.after is not None], plan_price=gate.plan_price
        )
        before = None
        if both.before is not None:
            was = [one.before for one in changes if one.before is not None]
            price = both.before.gate.plan_price
            before = totals(was, plan_price=price) if was else no_prompts(price)
        own = {name: one.spec.rules for name, one in both.now.side.prompts.items()}
        broken = check(
            gate, own, changes, before=before, after=after, replaced=self._replaced(changes)
        )
        if self._both.gate_lost and has_growth_rule(gate) and not any(c.before for c in changes):
            broken.append(growth_unchecked(gate, self._both.gate_lost))
        models = [change.after.model for change in changes if change.after is not None]
        soon = announced(both.now.book, models, at_ms=self._at_ms)
        ahead = [one for one in soon if one.kind != RETIRED]  # Of which a warning says so.
        warned = [*self._now.warnings, *self._expecting.notes, *announced_lines(ahead)]
        return GateResult(
            changes=tuple(changes),
            before=before,
            after=after,
            findings=(*self._findings, *broken),
            base=both.base,
            book_version=both.now.book.version,
            base_book_version=None if both.before is None else both.before.book.version,
            notes=(*self._notes, *warned),
            held=rules_held(gate, own, changes, has_base=before is not None),
        )

    def _replaced(self, changes: Sequence[Change]) -> list[Replaced]:
        """Tables of now that have new prompts, and had others in the base."""
        both = self._both
        if both.before is None:
            return []
        gone = [one for one in changes if one.after is None]
        was = both.before.side.prompts
        as_many = len(both.before.gate.prompts) == len(both.now.gate.prompts)
        found = []
        for spec in both.now.gate.prompts:
            new = [one for one in changes if one.before is None and self._table(one) is spec]
            lost = [one for one in gone if same_table(was[one.name], spec, as_many=as_many)]
            if new and lost:
                found.append(Replaced(tuple(new), tuple(lost)))
        return found

    def _table(self, change: Change) -> PromptSpec:
        return self._both.now.side.prompts[change.name].spec

    def _tell_faults(self) -> None:
        """What could not be read: now it is a finding, in the base a note where it matters."""
        for fault in self._both.now.side.faults:
            self._refuse(fault.rule, fault.subject, fault.path, fault.error)
        if self._both.before is None:
            return
        for fault in self._both.before.side.faults:
            if fault.rule == READABLE and fault.subject in self._both.now.side.prompts:
                self._no_base(fault.subject, fault.error)

    def _refuse(self, rule: str, subject: str, path: str, error: NoburnError) -> None:
        self._findings.append(Finding(rule, subject, "", "", _sentence(error), ERROR, path))

    def _no_base(self, name: str, error: NoburnError) -> None:
        self._notes[f"the base's {name} counts as new: {_sentence(error)}"] = None

    def _changes(self) -> list[Change]:
        both = self._both
        after = list(both.now.side.prompts.values())
        before = [] if both.before is None else self._comparable(both.before)
        found = []
        for old, new in paired(before, after, both.renames):
            change = self._change(old, new)
            if change is not None:
                found.append(change)
        return found

    def _comparable(self, before: Read) -> list[Prompt]:
        """Prompts of the base, but for those that cannot be read now: they are not gone."""
        side = self._both.now.side
        unread = {one.subject for one in side.faults}
        files = {one.path for one in side.faults} - {one.path for one in side.prompts.values()}
        return [
            one
            for one in before.side.prompts.values()
            if one.name not in unread and one.path not in files
        ]

    def _change(self, old: Prompt | None, new: Prompt | None) -> Change | None:
        """One prompt's change, or None where the one of now cannot be priced: a finding says so."""
        now = then = None
        if new is not None:
            try:
                now = self._sent(new, self._both.now, self._now)
            except NoburnError as error:
                self._unpriced(new, error)
                return None
        if old is not None and self._both.before is not None:
            try:
                then = self._sent(old, self._both.before, self._then)
            except NoburnError as error:
                self._no_base(old.name, error)
        try:
            return self._compared(then, now)
        except LedgerUnavailable:
            raise
        except NoburnError as error:
            if new is not None:
                self._unpriced(new, error)
            elif old is not None:
                self._no_base(old.name, error)
            return None

    def _unpriced(self, new: Prompt, error: NoburnError) -> None:
        self._refuse(KNOWN, new.name, new.path, error)

    def _sent(self, prompt: Prompt, read: Read, coster: Coster) -> _Sent:
        ways = ways_of(prompt, read.gate.model)
        coster.sizes(prompt.items, ways)
        return _Sent(prompt, read, coster, ways, coster.model(ways.model).name)

    def _compared(self, then: _Sent | None, now: _Sent | None) -> Change | None:
        """Raises LedgerUnavailable; NoburnError where a side has no price or no calls."""
        models = tuple(dict.fromkeys(one.model for one in (then, now) if one is not None))
        if not models:
            return None
        before, after = self._numbers(then, now, models=models)
        old = None if then is None or before is None else self._measured(then, before)
        new = None if now is None or after is None else self._measured(now, after)
        was = None if old is None or before is None else self._cost(old, before, self._then)
        is_now = None if new is None or after is None else self._cost(new, after, self._now)
        renamed = old is not None and new is not None and old.prompt.name != new.prompt.name
        return Change(
            was,
            is_now,
            self._causes(old, new, was, is_now),
            old.prompt.name if renamed and old is not None else "",
        )

    def _numbers(
        self, then: _Sent | None, now: _Sent | None, *, models: tuple[str, ...]
    ) -> tuple[Numbers | None, Numbers | None]:
        """What each side expects; one answer of the ledger serves both."""
        sides = [
            None
            if one is None
            else self._expecting.of(one.prompt.name, one.prompt.spec, one.read.gate, models=models)
            for one in (then, now)
        ]
        before, after = sides
        if before is not None and after is not None:
            before, after = shared(before, after), shared(after, before)
        one = now or then
        assert one is not None
        learned = None
        if any(side is not None and side.output is None for side in (before, after)):
            made = then or one  # Before it was renamed, its calls had the old name.
            learned = self._expecting.learned(made.prompt.name, one.prompt.spec, models=models)
        return (
            None if before is None else from_learned(before, learned),
            None if after is None else from_learned(after, learned),
        )

    def _measured(self, sent: _Sent, numbers: Numbers) -> Measured:
        terms = Terms(
            sizes=sent.coster.sizes(sent.prompt.items, sent.ways),
            model=sent.coster.model(sent.ways.model),
            cap=sent.ways.cap,
            output=numbers.output,
            cache=numbers.shares,
            calls=numbers.calls,
        )
        return Measured(sent.prompt, sent.ways, terms)

    def _cost(self, one: Measured, numbers: Numbers, coster: Coster) -> PromptCost:
        return prompt_cost(
            one.prompt.name,
            one.prompt.path,
            one.terms,
            numbers.market,
            book_version=coster.book.version,
            at_ms=self._at_ms,
        )

    def _causes(
        self,
        old: Measured | None,
        new: Measured | None,
        was: PromptCost | None,
        is_now: PromptCost | None,
    ) -> tuple[Cause, ...]:
        if self._both.before is None:
            return ()
        whole = Change(was, is_now, ()).difference
        if old is None:
            return (Cause(ADDED, "is new", whole),)
        if new is None:
            return (Cause(REMOVED, "is gone", whole),)
        way = steps(old, new, self._now, at_ms=self._at_ms)
        return causes(old.terms, way, at_ms=self._at_ms)


def _sentence(error: NoburnError) -> str:
    """An error as one sentence; a newline in a reason would break a table."""
    parts = [error.message, error.why, error.next_step]
    return "; ".join(" ".join(part.split()) for part in parts if part)
