"""Requests as the daemon reads them: one struct per operation, checked while decoding.

Layer: daemon.  Below: protocol (the words and limits), msgspec.  Above: server.
Owns: which fields a frame may have and their ranges; docs/protocol.md tells what they mean.
Not here: lines (server cuts them), attribute names (core.budgets, on first sight of a context).

Unknown fields are refused: a misspelt `refined` must not be ignored where money is decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from noburn_cli import protocol
from noburn_cli.core.money import AMOUNT_MAX
from noburn_cli.core.usage import EXTRA_KINDS, KINDS
from noburn_cli.errors import FrameRefused

#: Tokens, bytes and times above this are nobody's; sums of products of them still fit 64 bits
#: after pricing only below it, and SQLite's integers are 64 bits.
COUNT_MAX = 10**10

Count: TypeAlias = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
#: Its characters are checked by check_call_id, where an id is new: a pattern here would cost every
#: settlement as much as all the rest of its decoding.
CallId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=protocol.CALL_ID_CHARS_MAX)]
Word: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Text: TypeAlias = Annotated[str, Meta(max_length=4096)]
#: A value in the detail of a note.
Noted: TypeAlias = Annotated[str, Meta(max_length=4096)] | int | bool | None
Words: TypeAlias = Annotated[tuple[Word, ...], Meta(min_length=1, max_length=16)]
#: A key, virtual or real; long, as some are signed tokens.
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=16384)]
Attributes: TypeAlias = Annotated[dict[str, str], Meta(max_length=64)]
ExtraKind: TypeAlias = Annotated[str, Meta(pattern=f"^({'|'.join(EXTRA_KINDS)})$")]
Extra: TypeAlias = dict[ExtraKind, Count]
#: Of a budget's capacity.
Percent: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]
UsageKind: TypeAlias = Annotated[str, Meta(pattern=f"^({'|'.join((*KINDS, *EXTRA_KINDS))})$")]
#: A count that is added, of whatever sign.
Change: TypeAlias = Annotated[int, Meta(ge=-(10**15), le=10**15)]
CorrectionId: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,72}$")]
#: Inputs of one call that are bounded together; each can be a whole context window.
REQUESTS_MAX = 100_000
#: How often a call can be asked to go out for a cheaper model.
DOWNGRADES_MAX = 8


class Frame(Struct, tag_field="op", forbid_unknown_fields=True, gc=False):
    n: Number


class Hello(Frame, tag=protocol.HELLO):
    v: int
    client: Text = ""


class Input(Struct, forbid_unknown_fields=True, gc=False):
    bytes: Count
    expanded: Count
    overhead: Count = 0
    tokens: Count = 0
    window: bool = False
    counted: Count | None = None
    requests: Annotated[int, Meta(ge=1, le=REQUESTS_MAX)] = 1
    windows: Annotated[int, Meta(ge=0, le=REQUESTS_MAX)] = 0


class Output(Struct, forbid_unknown_fields=True, gc=False):
    wanted: Count | None = None
    floor: Count = 1
    choices: Annotated[int, Meta(ge=1, le=4096)] = 1
    clamp: bool = False


class Texts(Struct, forbid_unknown_fields=True, gc=False):
    texts: list[str] = []
    schema: str = ""


class Downgraded(Struct, forbid_unknown_fields=True, gc=False):
    """A step down: the model that the call was for, and the budget that asked for another."""

    model: Annotated[str, Meta(max_length=256)]
    budget: Text


class Reserve(Frame, tag=protocol.RESERVE):
    call: CallId
    api: Word
    #: Empty only with a ceiling: a request that names no model, such as a batch in a stored file.
    model: Annotated[str, Meta(max_length=256)]
    #: Kept as bytes: the same attributes come with nearly every call, and are looked up by them.
    attrs: msgspec.Raw
    input: Input
    output: Output | None
    input_kinds: Words = ("input",)
    variants: Words = ("standard",)
    output_kinds: Words = ("output",)
    extra: Extra = {}
    ceiling: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)] | None = None
    wait_ms: Annotated[int, Meta(ge=0, le=protocol.WAIT_MS_MAX)] = 0
    texts: Texts | None = None
    refined: bool = False
    #: The steps down to this model, as the daemon told them.
    downgraded: Annotated[list[Downgraded], Meta(max_length=DOWNGRADES_MAX)] = []
    #: Why the request cannot be one for the model that was asked for; "" where nobody asked.
    fixed_model: Text = ""
    #: The virtual key that the request carries; its real one comes with the grant.
    key: Key | None = None
    notional: bool = False


class Usage(Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    input: Count = 0
    cache_read: Count = 0
    cache_write_5m: Count = 0
    cache_write_1h: Count = 0
    output: Count = 0
    reasoning: Count = 0
    extra: Extra = {}

    def by_kind(self) -> dict[str, int]:
        """All counts in one mapping, as core.usage has them."""
        counts = {name: getattr(self, name) for name in KINDS}
        return {**counts, **self.extra}


class Settle(Frame, tag=protocol.SETTLE):
    call: CallId
    usage: Usage
    #: Of a batch: what each of its requests used, each priced by itself; `usage` is empty then.
    results: Annotated[list[Usage], Meta(max_length=REQUESTS_MAX)] = []
    variant: Word = "standard"
    latency_ms: Count | None = None
    status: Count | None = None
    provider_id: Text | None = None
    served_model: Text | None = None
    failure: Text | None = None


class Lose(Frame, tag=protocol.LOSE):
    call: CallId
    reason: Text = ""
    latency_ms: Count | None = None
    status: Count | None = None
    #: Under which a later settle may name the call.
    provider_id: Text | None = None


class Void(Frame, tag=protocol.VOID):
    call: CallId
    reason: Text = ""
    latency_ms: Count | None = None
    status: Count | None = None


class Refused(Frame, tag=protocol.REFUSED):
    call: CallId
    api: Word
    model: Annotated[str, Meta(max_length=256)]
    attrs: msgspec.Raw
    reason: Text = ""
    error: Word = protocol.UNBOUNDED


class LimitSpec(Struct, forbid_unknown_fields=True, gc=False):
    unit: Word
    amount: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]


class RunStart(Frame, tag=protocol.RUN_START):
    run: Text
    attrs: Attributes = {}
    command: Annotated[list[Annotated[str, Meta(max_length=65536)]], Meta(max_length=4096)] = []
    limit: LimitSpec | None = None


class RunEnd(Frame, tag=protocol.RUN_END):
    run: Text
    exit_code: Annotated[int, Meta(ge=-65536, le=65536)] | None = None


class RunWatch(Frame, tag=protocol.RUN_WATCH):
    run: Text


class RunNote(Frame, tag=protocol.RUN_NOTE):
    run: Text
    kind: Word
    detail: Annotated[dict[str, Noted], Meta(max_length=32)] = {}


class RunStop(Frame, tag=protocol.RUN_STOP):
    run: Text
    reason: Text = ""
    by: Text = ""


class RunPause(Frame, tag=protocol.RUN_PAUSE):
    run: Text
    by: Text = ""


class RunResume(Frame, tag=protocol.RUN_RESUME):
    run: Text
    by: Text = ""


class RunLimit(Frame, tag=protocol.RUN_LIMIT):
    run: Text
    limit: LimitSpec
    #: Whether the amount is added to what the run has, or replaces it.
    add: bool = False


class RunList(Frame, tag=protocol.RUN_LIST):
    run: Text | None = None


class KeysLend(Frame, tag=protocol.KEYS_LEND):
    run: Text
    keys: Annotated[dict[Key, Key], Meta(max_length=256)]


class KeyFor(Frame, tag=protocol.KEY):
    key: Key


class BudgetSet(Frame, tag=protocol.BUDGET_SET):
    scope: Text
    per: Word
    limit: LimitSpec
    override: bool = False
    action: Word = "block"
    zone: Word = "UTC"
    anchor: Annotated[int, Meta(ge=1, le=31)] = 1
    #: In the limit's unit.
    carry: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)] = 0
    downgrade: Annotated[dict[Word, Word], Meta(max_length=64)] = {}
    thresholds: Annotated[list[Percent], Meta(max_length=32)] = []
    notify: Annotated[list[Word], Meta(max_length=16)] = []
    #: When it comes into force; None for at once.
    at_ms: Number | None = None


class BudgetList(Frame, tag=protocol.BUDGET_LIST):
    pass


class BudgetRm(Frame, tag=protocol.BUDGET_RM):
    scope: Text
    per: Word
    unit: Word = "dollars"
    at_ms: Number | None = None


class BudgetUnschedule(Frame, tag=protocol.BUDGET_UNSCHEDULE):
    id: Number


class BudgetApply(Frame, tag=protocol.BUDGET_APPLY):
    """Several changes, all or none.  expects: the `digest` of the list they were planned on."""

    steps: Annotated[list[BudgetSet | BudgetRm | BudgetUnschedule], Meta(max_length=10_000)]
    expects: Word = ""


class BudgetTopup(Frame, tag=protocol.BUDGET_TOPUP):
    scope: Text
    per: Word
    amount: Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
    unit: Word = "dollars"
    #: Whether a family's account is meant, where a budget of exactly that scope stands beside it.
    family: bool = False


class Remaining(Frame, tag=protocol.REMAINING):
    attrs: Attributes = {}


class Correction(Struct, forbid_unknown_fields=True, gc=False):
    """One entry against the books: an amount for a day, or a bill for a call that had none.

    nano, usage, requests: what is added, of whatever sign; of a call's bill, what it is.
    """

    id: CorrectionId
    why: Word
    attrs: Attributes = {}
    api: Text = ""
    model: Text = ""
    for_ms: Number = 0
    nano: Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)] | None = None
    usage: dict[UsageKind, Change] = {}
    requests: Change = 0
    call: CallId | None = None
    #: `settle` or `void`: how the call ends, whose bill was not known.
    ends: Annotated[str, Meta(pattern="^(settle|void)$")] | None = None
    variant: Word = "standard"
    note: Text = ""


class LedgerCorrect(Frame, tag=protocol.LEDGER_CORRECT):
    batch: CorrectionId
    entries: Annotated[list[Correction], Meta(min_length=1, max_length=protocol.CORRECTIONS_MAX)]
    #: The newest correction that the sender had seen, by its row; None does not look.
    after: Number | None = None
    by: Text = ""
    reason: Text = ""
    provider: Text = ""
    source: Text = ""
    export: Text = ""


class LedgerUndo(Frame, tag=protocol.LEDGER_UNDO):
    id: CorrectionId
    by: Text = ""
    reason: Text = ""


class LedgerCompact(Frame, tag=protocol.LEDGER_COMPACT):
    #: The first month that stays, as 2026-10.
    before: Word
    dry_run: bool = False


class LedgerForget(Frame, tag=protocol.LEDGER_FORGET):
    key: Word
    value: Word
    dry_run: bool = False


class Status(Frame, tag=protocol.STATUS):
    pass


class Reload(Frame, tag=protocol.RELOAD):
    pass


class NotifyList(Frame, tag=protocol.NOTIFY_LIST):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class NotifyTest(Frame, tag=protocol.NOTIFY_TEST):
    channel: Word


class NotifyRetry(Frame, tag=protocol.NOTIFY_RETRY):
    channels: Annotated[list[Word], Meta(max_length=32)] = []


class Shutdown(Frame, tag=protocol.SHUTDOWN):
    pass


Request: TypeAlias = (
    Hello | Reserve | Settle | Lose | Void | Refused | RunStart | RunEnd | RunWatch
    | RunNote | RunStop | RunPause | RunResume | RunLimit | RunList | KeysLend | KeyFor
    | BudgetSet | BudgetList | BudgetRm | BudgetTopup | BudgetUnschedule | BudgetApply
    | LedgerCorrect | LedgerUndo | LedgerCompact | LedgerForget | Remaining
    | Status | Reload | NotifyList | NotifyTest | NotifyRetry | Shutdown
)  # fmt: skip

_is_call_id = re.compile(r"[A-Za-z0-9._:-]+").fullmatch
_decode_request: Callable[[bytes], Request] = msgspec.json.Decoder(Request).decode
_decode_attributes = msgspec.json.Decoder(Attributes).decode


class BadFrame(Exception):
    """A frame that breaks the rules.  n: its number, when it has one; fatal: not even JSON."""

    def __init__(self, why: str, *, n: int | None, fatal: bool) -> None:
        super().__init__(why)
        self.why = why
        self.n = n
        self.fatal = fatal


def decode(line: bytes) -> Request:
    """Read one frame.  Raises BadFrame and nothing else, whatever the bytes."""
    try:
        return _decode_request(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_frame(line, error) from error


def total(results: list[Usage]) -> Usage:
    """The sum of a batch's results."""
    names = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
    extra: dict[str, int] = {}
    for one in results:
        for kind, count in one.extra.items():
            extra[kind] = extra.get(kind, 0) + count
    return Usage(
        **{name: sum(getattr(one, name) for one in results) for name in names}, extra=extra
    )


def check_call_id(call: str) -> None:
    """Refuse an id with other characters than the protocol's.  Raises BadFrame."""
    if not call.replace("-", "").isalnum() or not call.isascii():  # as nearly all are, and fast
        _check_other_id(call)


def _check_other_id(call: str) -> None:
    if _is_call_id(call) is None:
        raise BadFrame(f"not a call id: {call!r}", n=None, fatal=False)


def decode_attributes(raw: bytes) -> dict[str, str]:
    """Read a call's attributes.  Raises BadFrame."""
    try:
        return _decode_attributes(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame(f"attrs: {error}", n=None, fatal=False) from error


def _bad_frame(line: bytes, error: Exception) -> BadFrame:
    try:
        # The lenient reader: JSON may carry a lone surrogate, which the strict one takes for none.
        n = protocol.decode(line).get("n")
    except FrameRefused:
        return BadFrame(str(error), n=None, fatal=True)
    known = n if type(n) is int and 0 <= n <= 2**53 else None
    return BadFrame(str(error), n=known, fatal=False)


# Replies to the two frequent requests, in the protocol's field order.
class Granted(Struct, gc=False, omit_defaults=True):
    n: int
    ok: bool
    call: str
    granted: int | None
    write_cap: bool
    clamped: bool
    wanted: int | None
    hold_nano: int
    bound: str
    book: str
    #: How many input tokens the hold pays for.
    input_bound: int
    #: The real key for the virtual one that was asked with; only on its way to the caller.
    key: str | None = None
    #: What a person should know of budgets that let calls go.
    warnings: list[str] = []


class Closed(Struct, gc=False, omit_defaults=True):
    n: int
    ok: bool
    state: str
    cost_nano: int | None = None
    overshoot_nano: int | None = None


encode = msgspec.json.Encoder().encode


def extra_text(extra: Mapping[str, int]) -> str | None:
    """Counts of further kinds as the journal writes them: sorted, zeros left out, or None."""
    counts = {kind: extra[kind] for kind in sorted(extra) if extra[kind]}
    return encode(counts).decode() if counts else None
