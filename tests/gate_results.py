"""Results of a gate, made by hand, for the tests of how they are shown."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from noburn_cli.core import gate_model as gm
from noburn_cli.core.estimates import Span

RATES = gm.Rates(2_000_000, 100_000, 10_000_000, "https://example.com/prices", "2026-11-23")
BASE = gm.Base("origin/main", "a" * 40)


def prompt(name, *, tokens=1000, output=400, calls=10_000, **more):
    """A prompt at $2 and $10 a million tokens."""
    nano = tokens * 2_000 + (output or 0) * 10_000
    fields = {
        "name": name,
        "path": name.partition(":")[0],
        "feature": None,
        "requests": 1,
        "model": "gpt-6.1-sol",
        "provider": "openai",
        "variant": "standard",
        "input": Span(tokens, tokens),
        "how": "exact",
        "bound_tokens": tokens + 8,
        "bound_how": "exact",
        "output": None if output is None else Span(output, output),
        "output_from": "" if output is None else gm.FROM_CONFIG,
        "cap": 1024,
        "output_max": 1024,
        "with_output": output is not None,
        "cached_share": Fraction(0),
        "calls_per_month": calls,
        "calls_from": "" if calls is None else gm.FROM_CONFIG,
        "customers": None,
        "calls_per_customer": None,
        "cost_call": Span(nano, nano),
        "cost_month": None if calls is None else Span(nano * calls, nano * calls),
        "customer_month": None,
        "worst_call": nano * 3,
        "plan_price": None,
        "margin": None,
        "window_share": Fraction(tokens, 400_000),
        "rates": RATES,
        "book_version": "2026-11-23",
    }
    return gm.PromptCost(**{**fields, **more})


def grown(name="prompts/system.md", *, by=900, tokens=2000, calls=120_000, **more):
    before = prompt(name, tokens=tokens, calls=calls, **more)
    after = prompt(name, tokens=tokens + by, calls=calls, **more)
    nano = by * 2_000 * (calls or 1)
    return gm.Change(before, after, (gm.Cause(gm.TOKENS, f"grew by {by} tokens", nano),))


def unchanged(name="prompts/faq.md", **more):
    return gm.Change(prompt(name, **more), prompt(name, **more), ())


def added(name="prompts/translate.md", **more):
    after = prompt(name, **more)
    return gm.Change(None, after, (gm.Cause(gm.ADDED, "new", _whole(after)),))


def removed(name="prompts/old.md", **more):
    before = prompt(name, **more)
    return gm.Change(before, None, (gm.Cause(gm.REMOVED, "removed", -_whole(before)),))


def edited(kind, text, nano, *, name="prompts/a.md", **fields):
    """One change by another cause: the fields of `after` are as given."""
    before = prompt(name)
    return gm.Change(before, replace(before, **fields), (gm.Cause(kind, text, nano),))


def _whole(one):
    return (one.cost_month or one.cost_call).high


def totals(sides):
    known = [one.cost_month for one in sides if one is not None and one.cost_month is not None]
    month = sum(known[1:], known[0]) if known else None
    left_out = tuple(one.name for one in sides if one is not None and one.cost_month is None)
    return gm.Totals(month, None, None, None, left_out)


def gate(*changes, findings=(), base=BASE, notes=()):
    return gm.GateResult(
        changes=changes,
        before=None if base is None else totals([change.before for change in changes]),
        after=totals([change.after for change in changes]),
        findings=tuple(findings),
        base=base,
        book_version="2026-11-23",
        base_book_version=None if base is None else "2026-11-23",
        notes=notes,
    )


def finding(text="It costs $2.", *, rule=gm.PER_MONTH_MAX, level=gm.ERROR, path="prompts/a.md"):
    return gm.Finding(rule, path, "$1", "$2", text, level, path)
