"""A gate as data, for `--format json`: exact dollars as strings, spans as `{low, high}`.

Layer: render (pure).  Below: core.gate_model, render.gate_words.  Above: render.gate_formats.
Owns: the document's version.  Every prompt is in it, unchanged ones too.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from noburn_cli.core.estimates import Span
from noburn_cli.core.gate_model import Change, Finding, GateResult, Held, PromptCost, Totals
from noburn_cli.core.money import Nano
from noburn_cli.core.recorded_comparison import LineChange, RecordingResult
from noburn_cli.core.recorded_runs import RecordedTest
from noburn_cli.render.exact import per_million
from noburn_cli.render.gate_words import sentence

JSON_VERSION = 1
_PLACES = 6


def gate_data(result: GateResult) -> dict[str, Any]:
    """The whole result."""
    base = result.base
    return {
        "passed": result.passed,
        "sentence": sentence(result),
        "base": None
        if base is None
        else {"rev": base.rev, "commit": base.commit, "merge_base": base.merge_base},
        "book_version": result.book_version,
        "base_book_version": result.base_book_version,
        "before": None if result.before is None else _totals(result.before),
        "after": _totals(result.after),
        "difference": _nano(result.difference),
        "growth": _share(result.growth),
        "causes": {kind: Nano(amount) for kind, amount in result.causes().items()},
        "changes": [_change(change) for change in result.changes],
        "findings": [_finding(one) for one in result.findings],
        "rules": [_held(one) for one in result.held],
        "recording": None if result.evidence is None else _recording(result.evidence),
        "notes": list(result.notes),
    }


def _totals(side: Totals) -> dict[str, Any]:
    return {
        "month": _span(side.month),
        "customer_month": _span(side.customer_month),
        "plan_price": _nano(side.plan_price),
        "margin": _share(side.margin),
        "left_out": list(side.left_out),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "name": change.name,
        "renamed_from": change.renamed_from or None,
        "changed": change.changed,
        "difference": Nano(change.difference),
        "period": "month" if change.monthly else "call",
        "causes": [
            {"kind": one.kind, "text": one.text, "amount": Nano(one.nano)} for one in change.causes
        ],
        "before": None if change.before is None else _prompt(change.before),
        "after": None if change.after is None else _prompt(change.after),
    }


def _prompt(one: PromptCost) -> dict[str, Any]:
    return {
        "name": one.name,
        "path": one.path,
        "feature": one.feature,
        "requests": one.requests,
        "model": one.model,
        "provider": one.provider,
        "variant": one.variant,
        "input_tokens": one.input,
        "counted": one.how,
        "input_tokens_max": one.bound_tokens,
        "input_tokens_max_how": one.bound_how,
        "output_tokens": one.output,
        "output_from": one.output_from or None,
        "output_cap": one.cap,
        "output_tokens_max": one.output_max,
        "cost_includes_output": one.with_output,
        "cached_share": _share(one.cached_share),
        "calls_per_month": one.calls_per_month,
        "calls_from": one.calls_from or None,
        "customers": one.customers,
        "calls_per_customer": _share(one.calls_per_customer),
        "cost_call": _span(one.cost_call),
        "cost_month": _span(one.cost_month),
        "customer_month": _span(one.customer_month),
        "worst_call": Nano(one.worst_call),
        "plan_price": _nano(one.plan_price),
        "margin": _share(one.margin),
        "window_share": _share(one.window_share),
        "rates": {
            "input": _rate(one.rates.input),
            "cache_read": _rate(one.rates.cache_read),
            "output": _rate(one.rates.output),
            "url": one.rates.origin,
            "checked_on": one.rates.checked_on,
        },
        "book_version": one.book_version,
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "subject": one.subject,
        "level": one.level,
        "limit": one.limit or None,
        "value": one.value or None,
        "text": one.text,
        "path": one.path or None,
    }


def _held(one: Held) -> dict[str, Any]:
    return {"rule": one.rule, "subject": one.subject, "limit": one.limit, "level": one.level}


def _recording(evidence: RecordingResult) -> dict[str, Any]:
    """Every line that was compared; costs of the baseline are at the rates of the run."""
    recording = evidence.recording
    return {
        "name": recording.name,
        "run": recording.run or None,
        "baseline": evidence.baseline,
        "passed": evidence.passed,
        "replayed": recording.replayed,
        "calls": recording.calls,
        "cost": Nano(recording.cost_nano),
        "difference": Nano(evidence.difference_nano),
        "tests": [_line(one) for one in evidence.changes],
    }


def _line(one: LineChange) -> dict[str, Any]:
    return {
        "name": one.name,
        "verdict": one.verdict,
        "grown": list(one.grown),
        "causes": [
            {"kind": cause.kind, "text": cause.text, "amount": Nano(cause.nano)}
            for cause in one.causes
        ],
        "before": None if one.before is None else _side(one.before, one.before_now_nano),
        "after": None if one.after is None else _side(one.after, one.after.cost_nano),
    }


def _side(test: RecordedTest, nano: int) -> dict[str, Any]:
    return {"calls": test.calls, "tokens": test.tokens, "cost": Nano(nano)}


def _nano(amount: int | None) -> Nano | None:
    return None if amount is None else Nano(amount)


def _span(span: Span | None) -> dict[str, Nano] | None:
    return None if span is None else {"low": Nano(span.low), "high": Nano(span.high)}


def _share(share: Fraction | None) -> float | None:
    """A share or ratio, for the eye of a program; whatever decides is compared exactly before."""
    return None if share is None else round(share.numerator / share.denominator, _PLACES)


def _rate(pico: int | None) -> str | None:
    return None if pico is None else per_million(pico)
