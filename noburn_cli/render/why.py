"""How the explanation of one call looks: a sentence first, then the arithmetic behind it.

Layer: render.  Below: reports.calls, reports.receipt, core.money, render.table.
Above: commands.why.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from noburn_cli import protocol
from noburn_cli.core.money import show_amount, show_dollars
from noburn_cli.core.recorded_tags import PLAYED_TAG
from noburn_cli.core.usage import EXTRA_KINDS, FEE_KINDS, FEE_PRICES, INPUT_KINDS, OUTPUT
from noburn_cli.core.variants import words_of
from noburn_cli.render.exact import (
    align_decimals,
    show_exact,
    show_exact_amount,
    show_exact_pico,
    show_rate,
)
from noburn_cli.render.moments import second_of
from noburn_cli.render.table import format_table, prose_lines, safe_text
from noburn_cli.reports.calls import CallFacts
from noburn_cli.reports.receipt import Bill, Hold, Source

#: How an input bound was reached (DESIGN §4), for somebody who has not read it.
BOUND_WORDS = {
    "exact": "counted here with the model's own tokeniser",
    "counted": "counted by the provider",
    "bytes": "at most one token a byte, as the tokeniser guarantees",
    "window": "only the context window bounds it",
    "assumed": "a server's template is allowed for, or a ceiling of your policy: not proven",
}
NOTIONAL_WORDS = "shown at list price; no budget of dollars was charged"
CLAUDE_BYTES = "the most that Claude's tokeniser makes of the text"
KIND_WORDS = {
    "input": "input",
    "cache_read": "cached input",
    "cache_write_5m": "cache write, 5 min",
    "cache_write_1h": "cache write, 1 h",
    "output": "output",
    "audio_input": "audio input",
    "audio_cache_read": "cached audio input",
    "audio_output": "audio output",
    "image_input": "image input",
    "image_cache_read": "cached image input",
    "image_output": "image output",
    "web_search": "web search",
    "web_search_preview": "web search (preview)",
    "file_search": "file search",
    "characters": "speech",
    "audio_seconds": "transcription",
}
#: What a fee is counted in.
UNIT_WORDS = {
    "web_search": "searches",
    "web_search_preview": "searches",
    "file_search": "searches",
    "characters": "characters",
    "audio_seconds": "seconds",
}
_FROM_THE_START = "1970-01-01"
_WIDTH = 98


def render_why(
    facts: CallFacts, *, bill: Bill | None, hold: Hold | None, width: int | None = None
) -> list[str]:
    """The whole explanation, for a terminal of `width` columns; None is a pipe."""
    lines = [*_wrapped(sentence(facts), width=width), ""]
    lines += format_table((), list(_who(facts)), align="ll")
    for title, body in _sections(facts, bill, hold):
        lines += ["", f"{title}:", *(f"  {line}" for line in body)]
    lines += ["", *_wrapped(f"next: {next_step(facts)}", width=width, indent=6)]
    return prose_lines(lines, width=width)


def _wrapped(text: str, *, width: int | None, indent: int = 0) -> list[str]:
    """A sentence on lines of a terminal's width; ids and addresses stay whole."""
    return textwrap.wrap(
        text,
        min(width or _WIDTH, _WIDTH),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def sentence(facts: CallFacts) -> str:
    """What happened, in one sentence."""
    name = f"Call {facts.call}" + (f" of {safe_text(facts.model)}" if facts.model else "")
    cost = show_dollars(facts.cost_nano or 0)
    if facts.state == "blocked":
        return f"{name} was blocked before it left: {_blocked_because(facts.detail)}."
    if facts.state == "refused":
        because = _refused_because(facts.detail, facts.failure)
        return f"{name} was refused before it left: {because}."
    if facts.state == "voided":
        return f"{name} cost nothing: {safe_text(facts.failure or 'it was given up')}."
    if facts.state == "held":
        down = _downgraded_words(facts)
        return f"{name} is in flight{down}: {show_dollars(facts.hold_nano)} is held for it."
    if facts.state == "settled":
        late = _was_late(facts)
        listed = " at list price (notional)" if facts.detail.get("notional") else ""
        down = _downgraded_words(facts)
        return f"{name} cost {cost}{listed}{down}{_clamped_words(facts)}{late}."
    reason = safe_text(facts.failure or "its usage was never learnt")
    return f"{name} is charged at its hold, {cost}, because no bill came: {reason}."


def stopped_because(state: str, detail: Mapping[str, Any], failure: str | None) -> str:
    """Why a call never left, for a list of such calls.

    state: `blocked` or `refused`; detail: the arithmetic that its row has.
    """
    if state == "blocked":
        return _blocked_because(detail)
    return _refused_because(detail, failure)


def _blocked_because(detail: Mapping[str, Any]) -> str:
    if "unit" not in detail:
        return _barred_because(detail)
    if detail["why_blocked"] == protocol.DOWNGRADE:
        return safe_text(str(detail["message"]).removeprefix("call blocked: "))
    unit = detail["unit"]
    left = max(0, detail["limit"] - detail["settled"] - detail["held"])
    return (
        f"budget `{safe_text(detail['budget'])}` had {show_amount(unit, left)} left and the call "
        f"needed {show_amount(unit, detail['needed'])}"
    )


def _barred_because(detail: Mapping[str, Any]) -> str:
    """Not the money was in its way: its run was stopped, paused for too long, or has ended."""
    message = str(detail["message"]).removeprefix("call blocked: ")
    return safe_text(f"{message}: {detail['why']}".rstrip(". "))


def _refused_because(detail: Mapping[str, Any], failure: str | None) -> str:
    reason = str(detail.get("reason") or failure or "no bound or no price")
    return safe_text(reason.rstrip("."))


def _clamped_words(facts: CallFacts) -> str:
    if not facts.clamped:
        return ""
    return f", its output clamped to {facts.granted:,} of {facts.wanted:,} tokens"


def _downgraded_words(facts: CallFacts) -> str:
    """From which model it was brought down, and by which budget."""
    steps = facts.detail.get("downgraded", [])
    if not steps:
        return ""
    budgets = list(dict.fromkeys(f"`{safe_text(step['budget'])}`" for step in steps))
    asked = safe_text(steps[0]["model"])
    return f", downgraded from {asked} by budget {' and '.join(budgets)}"


def _was_late(facts: CallFacts) -> str:
    before = [row.kind for row in facts.history if row.kind in ("lose", "orphan")]
    return f" by a late bill (it was {_PAST[before[-1]]} before)" if before else ""


_PAST = {"lose": "uncertain", "orphan": "orphaned"}


def _who(facts: CallFacts) -> Iterator[tuple[str, str]]:
    """Whose call it was, when, and how it went."""
    yield "when", _moment(facts.reserved_at_ms)
    yield "api", facts.api
    if facts.resolved_model and facts.resolved_model != facts.model:
        yield "model", f"{facts.model}, which is {facts.resolved_model}"
    shown = ", ".join(f"{key}={value}" for key, value in facts.attributes.items())
    yield "for", shown or "nobody named"
    if facts.status is not None or facts.latency_ms is not None:
        status = "no answer" if facts.status is None else f"HTTP {facts.status}"
        after = "" if facts.latency_ms is None else f" after {facts.latency_ms:,} ms"
        yield "answer", status + after
    if facts.waited_ms:
        yield "waited", f"{facts.waited_ms:,} ms for money in flight"
    if facts.provider_id:
        yield "provider's id", facts.provider_id


def _sections(
    facts: CallFacts, bill: Bill | None, hold: Hold | None
) -> Iterator[tuple[str, list[str]]]:
    if facts.state == "blocked" and "unit" in facts.detail:
        yield "The budget in its way, at that moment", _budget_lines(facts)
    if facts.detail.get("budgets"):
        yield "Budgets it was checked against", [safe_text(b) for b in facts.detail["budgets"]]
    elif facts.state not in ("blocked", "refused"):
        yield "Budgets it was checked against", ["none: it is recorded only"]
    soft = list(_soft_lines(facts))
    if soft:
        yield "Budgets that it went beyond, and that let calls go", soft
    if facts.detail.get("notional"):
        played = facts.attributes.get(PLAYED_TAG) is not None
        title = "Answered by what was recorded" if played else "Paid by a subscription"
        yield title, [NOTIONAL_WORDS]
    if facts.input_bound is not None:
        title = "What it needed at least" if facts.state == "blocked" else "What was held for it"
        yield title, list(_hold_lines(facts, hold))
    if bill is not None:
        yield "What it cost", list(_bill_lines(facts, bill))
    if len(facts.history) > 2:
        yield "What happened to it", list(_history_lines(facts))


def _soft_lines(facts: CallFacts) -> Iterator[str]:
    for name in facts.detail.get("warned", []):
        yield f"{safe_text(name)}: it only warns"
    for name in facts.detail.get("passed", []):
        yield f"{safe_text(name)}: it downgrades, and has no rule that leads further down"
    for name in facts.detail.get("billed", []):
        yield f"{safe_text(name)}: it bills what is spent beyond it"
    booked = [row.cost_nano for row in facts.history if row.kind == "overage" and row.cost_nano]
    if booked:
        yield f"booked as overage when the call ended: {show_exact(sum(booked))}"


def _budget_lines(facts: CallFacts) -> list[str]:
    detail = facts.detail
    unit = detail["unit"]
    left = detail["limit"] - detail["settled"] - detail["held"]
    amounts = (detail["limit"], detail["settled"], detail["held"], left, detail["needed"])
    shown = align_decimals([show_exact_amount(unit, amount) for amount in amounts])
    words = ("limit", "- settled", "- held", "= left", "needed")
    rows = [
        ("budget", safe_text(detail["budget"])),
        *zip(words, shown, strict=True),
        ("resets", _resets(detail["resets_at_ms"])),
    ]
    helps = "waiting longer could help: money was in flight" if detail["waiting_helps"] else ""
    spent = "waiting cannot help: it is spent"
    if detail.get("retry_after_ms"):
        spent = f"answered as a rate limit: try again after {detail['retry_after_ms']:,} ms"
    return [*format_table((), rows, align="ll"), helps or spent]


def _hold_lines(facts: CallFacts, hold: Hold | None) -> Iterator[str]:
    words = BOUND_WORDS.get(facts.bound, facts.bound)
    if facts.bound == "bytes" and "claude" in (facts.resolved_model or facts.model):
        words = CLAUDE_BYTES
    if facts.bound != "assumed" or facts.input_bound:
        yield f"input: at most {facts.input_bound:,} tokens ({facts.bound}: {words})"
    if facts.factor_per_mille != 1000:
        yield (
            f"  raised {facts.factor_per_mille / 1000:g}-fold: an earlier call was above its bound"
        )
    if facts.granted is not None:
        lowered = f", lowered from {facts.wanted:,}" if facts.clamped else ""
        yield f"output: capped at {facts.granted:,} tokens a choice{lowered}"
    if hold is None:
        yield (
            f"= {show_exact(facts.hold_nano)}" if facts.hold_nano is not None else "no price known"
        )
        return
    rows = [
        (part.kind, part.tokens, part.pico_per_token, part.tokens * part.pico_per_token)
        for part in hold.parts
    ]
    if hold.ceiling_nano:
        ceiling = show_exact(hold.ceiling_nano)
        yield f"ceiling: {ceiling} set aside by your policy for what nothing bounds"
    yield from _sum_table(
        rows, total=("rounded up", show_exact(hold.nano)), ceiling_nano=hold.ceiling_nano
    )
    if not hold.parts:
        return
    yield "at the dearest rates that may apply while it runs"
    yield from _source_lines([part.source for part in hold.parts])


def _bill_lines(facts: CallFacts, bill: Bill) -> Iterator[str]:
    rows = [(item.kind, item.tokens, item.pico_per_token, item.pico) for item in bill.items]
    yield from _sum_table(rows, total=("sum", show_exact(bill.nano)))
    if bill.pico % 1000:
        yield "rounded once, half to even, to a billionth of a dollar"
    if facts.usage.get("reasoning"):
        yield f"{facts.usage['reasoning']:,} of the output tokens were reasoning"
    if not bill.agrees and facts.told_by is not None:
        yield f"THE BILL SAYS {show_exact(bill.charged_nano)} ({safe_text(facts.told_by)})"
    elif not bill.agrees:
        yield f"THE LEDGER SAYS {show_exact(bill.charged_nano)}: run `noburn ledger verify`"
    yield from _source_lines([bill.source])
    if facts.hold_nano is not None and facts.hold_nano >= bill.charged_nano:
        rest = show_exact(facts.hold_nano - bill.charged_nano)
        yield f"of {show_exact(facts.hold_nano)} held, {rest} went back"
    elif facts.hold_nano is not None:
        held = show_exact(facts.hold_nano)
        yield f"above its hold of {held}: a defect of the bound, which was raised"


def _sum_table(
    rows: Sequence[tuple[str, int, int, int]], *, total: tuple[str, str], ceiling_nano: int = 0
) -> list[str]:
    """(kind, tokens, pico-dollars a token, pico-dollars) a line, and what they come to."""
    ceiling = [show_exact(ceiling_nano)] if ceiling_nano else []
    amounts = align_decimals([*(show_exact_pico(pico) for *_, pico in rows), *ceiling, total[1]])
    shown = [
        (KIND_WORDS[kind], f"{count:,} {UNIT_WORDS.get(kind, 'tokens')}", _rate(kind, rate),
         f"= {amount}")
        for (kind, count, rate, _), amount in zip(rows, amounts, strict=False)
    ]  # fmt: skip
    if ceiling:
        shown.append(("ceiling", "", "", f"= {amounts[-2]}"))
    return format_table((), [*shown, ("", "", total[0], f"= {amounts[-1]}")], align="lrll")


def _rate(kind: str, pico: int) -> str:
    """Dollars per million tokens, or for as many units as the price list names."""
    if kind not in FEE_PRICES:
        return f"x {show_rate(pico)}"
    units = FEE_PRICES[kind][1]
    return f"x {show_exact_pico(pico * units)} / {units:,}"


def _source_lines(sources: list[Source]) -> Iterator[str]:
    for source in dict.fromkeys(sources):
        tier = (
            f", above {source.above_input_tokens:,} input tokens"
            if source.above_input_tokens
            else ""
        )
        since = (
            "" if source.starts_on == _FROM_THE_START else f", in force since {source.starts_on}"
        )
        if source.checked_on == _FROM_THE_START:  # Nobody looks a price of nothing up.
            yield "rates: free, as declared in"
        else:
            yield f"rates: {words_of(source.variant)}{tier}{since}, checked on {source.checked_on}"
        yield f"       {source.url}"


def _history_lines(facts: CallFacts) -> Iterator[str]:
    for row in facts.history:
        cost = "" if row.cost_nano is None else f"  {show_dollars(row.cost_nano)}"
        reason = f"  {safe_text(row.failure)}" if row.failure else ""
        yield f"{_moment(row.at_ms)}  {row.kind}{cost}{reason}"


def next_step(facts: CallFacts) -> str:
    """What a person can do about it."""
    if facts.state == "blocked":
        return str(facts.detail["next"])
    if facts.state == "refused":
        return _NEXT_REFUSED.get(facts.failure or "", _NEXT_REFUSED["unbounded"])
    if facts.state in ("uncertain", "orphaned"):
        return (
            "the provider may have billed it or not; it stays charged, once, until a late bill "
            "settles it; `noburn ledger orphans` lists all such calls"
        )
    if facts.state == "settled" and facts.clamped:
        return "for longer answers raise the budget, or set the cap of the request yourself"
    if facts.state == "held":
        return "wait for its end; `noburn budget list` shows what is held"
    return "`noburn report --by model` shows it among the others"


_NEXT_REFUSED = {
    "model_unknown": "check the model's name, or add it to your own price file",
    "price_unknown": "add the missing rate to your own price file",
    "unbounded": "name an output cap in the request, or leave out what cannot be bounded",
}


def _moment(at_ms: int) -> str:
    return f"{second_of(at_ms)} UTC"


def _resets(at_ms: int | None) -> str:
    return "never" if at_ms is None else _moment(at_ms)


assert set(KIND_WORDS) == {*INPUT_KINDS, OUTPUT, *EXTRA_KINDS}
assert set(UNIT_WORDS) == set(FEE_KINDS)
