"""What `noburn gate` finds: costs of prompts before and after, their causes, and broken rules.

Layer: core (frozen data).  Below: core.estimates (Span), core.recorded_comparison.  Above:
core.gate_costs and core.gate_rules, which make these; noburn_cli.gating, which reads prompts;
render.gate*, which show them.
Not here: reading, counting and pricing.

Units: money is whole nano-dollars, rates are pico-dollars a token, a month is what the prompt's
`calls_per_month` says.  `None` is "not known", which is never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.estimates import Span
from noburn_cli.core.gate_rule_names import GROWTH_MAX as GROWTH_MAX
from noburn_cli.core.gate_rule_names import MARGIN_MIN as MARGIN_MIN
from noburn_cli.core.gate_rule_names import MODELS as MODELS
from noburn_cli.core.gate_rule_names import PER_CALL_MAX as PER_CALL_MAX
from noburn_cli.core.gate_rule_names import PER_CUSTOMER_MONTH_MAX as PER_CUSTOMER_MONTH_MAX
from noburn_cli.core.gate_rule_names import PER_MONTH_MAX as PER_MONTH_MAX
from noburn_cli.core.gate_rule_names import RULES as RULES
from noburn_cli.core.gate_rule_names import WINDOW_SHARE_MAX as WINDOW_SHARE_MAX
from noburn_cli.core.gate_rule_names import WORST_CALL_MAX as WORST_CALL_MAX
from noburn_cli.core.recorded_comparison import RecordingResult

#: Where a number came from.
FROM_CONFIG = "config"
FROM_LEDGER = "ledger"
#: The request in the file says it (its model, its output cap).
FROM_FILE = "file"
#: Only the other side of the comparison says it: one expectation serves both, so that a number
#: that somebody wrote down at last is no growth.
FROM_OTHER_SIDE = "other side"
UNKNOWN_SOURCE = ""

#: Kinds of Cause, in the order in which they are attributed, one after another: each is the
#: difference that it makes with everything before it already as it is now and everything after it
#: still as it was.
PRICE = "price"  # the base's price files and the ones of now give other rates
TOKENS = "tokens"  # the text, on the base's model
MODEL = "model"  # the tokeniser and the rates of another model
CAP = "cap"  # the most output that a call may ask for
OUTPUT_EXPECTED = "output"  # the output that is expected of a call
CACHE = "cache"  # the share of the input that is read from the provider's cache
CALLS = "calls"  # calls a month
ADDED = "added"
REMOVED = "removed"
CAUSES = (PRICE, TOKENS, MODEL, CAP, OUTPUT_EXPECTED, CACHE, CALLS, ADDED, REMOVED)

ERROR = "error"
WARNING = "warning"
LEVELS = (ERROR, WARNING)

#: Finding.subject of a rule about all prompts together.
TOTAL = "total"

#: Findings that no key switches off: what cannot be read or counted, is not passed in silence.
READABLE = "readable"  # a file, template or constant cannot be read, or holds no prompt
KNOWN = "known"  # a model without a price, a size that does not fit, a rule that cannot be checked
FOUND = "found"  # a pattern matches no file
CHECKS = (READABLE, KNOWN, FOUND)
#: Findings about recorded runs, under [gate.recording].
RECORDED = "recording"


@dataclass(frozen=True)
class Rates:
    """What a token of a prompt costs today, in pico-dollars, at the tier that its size reaches.

    input, cache_read, output: None where the model has no such rate.
    origin: the address that the rate was read from, and `checked_on` when; for receipts.
    """

    input: int | None
    cache_read: int | None
    output: int | None
    origin: str
    checked_on: str


@dataclass(frozen=True)
class PromptCost:
    """One prompt on one side of the comparison: its size, its terms, what it costs.

    name: as it is shown: a path below the configuration's folder, with `:NAME` for a constant or a
        key in it, and ` (label)` where its table has a label.  path: the file alone.
    requests: how many requests the file holds (a JSONL file has several); a call sends all of them.
    model, provider: of the price book.  variant: `standard`, `batch`, `flex`, ….
    input: tokens expected, or None where nothing but `bound_tokens` is known.
    how: `exact`, `counted`, `estimated` or `assumed` for `input`; the bound's where that is None.
    bound_tokens, bound_how: the most input tokens.
    output: expected of a call, or None.  output_from: FROM_CONFIG, FROM_LEDGER, FROM_OTHER_SIDE.
    cap: the most output that a call asks for, or None for the model's own maximum.
    output_max: the most output tokens that a call can be billed.
    cached_share: of the input, what is read from the provider's cache.
    calls_per_month: or None.  calls_from: FROM_CONFIG, FROM_LEDGER, FROM_OTHER_SIDE.
    customers, calls_per_customer: or None; calls_per_customer may be a fraction.
    cost_call, cost_month, customer_month: nano-dollars expected; of the input alone where `output`
        is None and the model answers (`with_output` is False then).  Where `input` is None they
        are priced at the bound.  cost_month is None without calls, customer_month without
        calls per customer.
    worst_call: nano-dollars that one call cannot exceed.
    plan_price: what a customer pays a month for this prompt's feature, or None.
    margin: (plan_price - customer_month) / plan_price, or None where either is not known.
    window_share: of the model's context window, taken by the input.
    book_version: of the price book that priced it.
    """

    name: str
    path: str
    feature: str | None
    requests: int
    model: str
    provider: str
    variant: str
    input: Span | None
    how: str
    bound_tokens: int
    bound_how: str
    output: Span | None
    output_from: str
    cap: int | None
    output_max: int
    with_output: bool
    cached_share: Fraction
    calls_per_month: int | None
    calls_from: str
    customers: int | None
    calls_per_customer: Fraction | None
    cost_call: Span
    cost_month: Span | None
    customer_month: Span | None
    worst_call: int
    plan_price: int | None
    margin: Fraction | None
    window_share: Fraction
    rates: Rates
    book_version: str

    @property
    def input_tokens(self) -> int:
        """The number that differences are told in: the most that is expected, else the bound."""
        return self.bound_tokens if self.input is None else self.input.high


@dataclass(frozen=True)
class Cause:
    """One reason why a prompt costs more or less than before.

    text: a phrase without a subject: `grew by 900 tokens`, `model gpt-6-luna → gpt-6.1-sol`.
    nano: what it alone adds to a month, or to a call where calls a month are not known (a change's
        causes add up to its `difference` exactly); 0 for one that changes only the worst case.
    """

    kind: str
    text: str
    nano: int


@dataclass(frozen=True)
class Change:
    """One prompt before and after; never neither.

    causes: in the order of CAUSES; empty where nothing changed.
    renamed_from: the name that it had in the base, or "".
    """

    before: PromptCost | None
    after: PromptCost | None
    causes: tuple[Cause, ...]
    renamed_from: str = ""

    @property
    def name(self) -> str:
        one = self.after or self.before
        assert one is not None, "a change has a side"
        return one.name

    @property
    def changed(self) -> bool:
        return bool(self.causes) or bool(self.renamed_from)

    @property
    def monthly(self) -> bool:
        """Whether `difference` is of a month, and not of a call."""
        return all(one is None or one.cost_month is not None for one in (self.before, self.after))

    @property
    def difference(self) -> int:
        """Nano-dollars more (or, negative, less) a month, at the top of what is expected.

        Of a call, where either side's calls a month are not known.
        """
        return self._figure(self.after) - self._figure(self.before)

    def _figure(self, one: PromptCost | None) -> int:
        if one is None:
            return 0
        if self.monthly:
            assert one.cost_month is not None
            return one.cost_month.high
        return one.cost_call.high


@dataclass(frozen=True)
class Finding:
    """A rule that is broken, or something that could not be checked.

    rule: one of RULES or CHECKS.  subject: a prompt's name, a pattern, a test, or TOTAL.
    limit, value: as shown: `$0.02`, `$0.031`; "" where the rule has none.
    text: a sentence: what, by how much, and where it helps what to do.
    level: ERROR fails the gate, WARNING does not.
    """

    rule: str
    subject: str
    limit: str
    value: str
    text: str
    level: str
    path: str = ""


@dataclass(frozen=True)
class Held:
    """A rule that a prompt, or the total, was held to, broken or not.

    limit: as shown: `$0.02`, `10 %`, `gpt-6-*`.  level: of the finding that breaking it makes.
    """

    rule: str
    subject: str
    limit: str
    level: str


@dataclass(frozen=True)
class Totals:
    """Sums over the prompts of one side.

    month: expected, over those whose calls a month are known; None where that is true of none.
    customer_month: expected of one customer, over those whose calls per customer are known.
    plan_price: of [gate], which all prompts without a price of their own have to live in.
    margin: (plan_price - those prompts' customer_month) / plan_price.
    left_out: names of prompts whose calls a month are not known.
    """

    month: Span | None
    customer_month: Span | None
    plan_price: int | None
    margin: Fraction | None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Base:
    """What was compared with.

    rev: as it was asked for.  commit: its full id.  merge_base: whether `commit` is where the two
    histories part, and not the revision itself.
    """

    rev: str
    commit: str
    merge_base: bool = False


@dataclass(frozen=True)
class GateResult:
    """All that a gate says; every rendering is made of this alone.

    changes: every prompt, unchanged ones too, in the order of the configuration; removed ones last.
    before: None without a base.
    book_version, base_book_version: of the price books that priced the two sides.
    held: every rule that was checked, broken or not.
    notes: what a reader should know about how it was compared.
    evidence: recorded runs against their baseline, where `--recording` named some; what of it
        breaks a rule is among `findings`, with the rule RECORDED.
    """

    changes: tuple[Change, ...]
    before: Totals | None
    after: Totals
    findings: tuple[Finding, ...]
    base: Base | None
    book_version: str
    base_book_version: str | None
    notes: tuple[str, ...] = ()
    evidence: RecordingResult | None = None
    held: tuple[Held, ...] = ()

    @property
    def passed(self) -> bool:
        return all(one.level != ERROR for one in self.findings)

    @property
    def difference(self) -> int | None:
        """Nano-dollars more a month over all prompts whose month is known; None without a base."""
        if self.before is None:
            return None
        return sum(change.difference for change in self.changes if change.monthly)

    @property
    def growth(self) -> Fraction | None:
        """`difference` as a share of what the base costs a month; None where that is nothing."""
        if self.before is None or self.before.month is None or not self.before.month.high:
            return None
        difference = self.difference
        return None if difference is None else Fraction(difference, self.before.month.high)

    def causes(self) -> Mapping[str, int]:
        """What each kind of cause adds to a month, over all prompts, in the order of CAUSES."""
        sums: dict[str, int] = {}
        for kind in CAUSES:
            found = [
                cause.nano
                for change in self.changes
                if change.monthly
                for cause in change.causes
                if cause.kind == kind
            ]
            if found:
                sums[kind] = sum(found)
        return sums
