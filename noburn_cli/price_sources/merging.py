"""From the sources' rows to the book's: what the second completes, and what released rows keep.

Layer: pure.  Below: core.models, core.usage, price_sources.litellm_json (its model), rows.
Above: price_sources.making, price_sources.agreement.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from noburn_cli.core.models import STANDARD, VARIANTS, Model, RateRow, Tier
from noburn_cli.core.usage import CACHE_WRITE_1H, FEE_KINDS, WEB_SEARCH, WEB_SEARCH_PREVIEW
from noburn_cli.core.variants import order_of, without_region
from noburn_cli.price_sources.litellm_json import SecondModel
from noburn_cli.price_sources.rows import row_of


@dataclass
class Findings:
    """What a person should look at, in the order it was found."""

    between_sources: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    windows: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Inputs:
    """Everything the new book is made of; `second` is None when no copy of it is at hand."""

    manual: dict[str, Any]
    first: dict[tuple[str, str], Any]
    second: dict[str, SecondModel] | None
    committed: dict[str, Model]
    today: date
    recheck: bool


def completed_rows(
    name: str,
    rows: list[RateRow],
    second: SecondModel | None,
    family: str,
    inputs: Inputs,
    findings: Findings,
) -> list[RateRow]:
    """The rows of the first source, completed by what only the second one gives."""
    if second is None:
        return rows
    completed = list(rows)
    changes_later = any(row.starts_on > inputs.today for row in rows)
    for variant in VARIANTS:
        tiers = second.tiers(variant, family)
        mine = [row for row in rows if row.variant == variant and row.starts_on <= inputs.today]
        if tiers is None:
            continue
        if mine:
            now = max(mine, key=lambda row: row.starts_on)
            findings.between_sources += differences(name, now, tiers)
            prefers = variant in inputs.manual["model"].get(name, {}).get("second_rates", ())
            better = replace(now, tiers=tiers) if prefers else _with_long_writes(now, second)
            completed[completed.index(now)] = better
        elif changes_later:
            # Its price after the announced change is published nowhere that we read.
            findings.left_out.append(
                f"{name}: {variant} is only in the second source, its later price in none"
            )
        else:
            url = rows[0].url
            completed.append(row_of(variant, inputs.today, tiers, url=url, checked_on=inputs.today))
    return completed


def _with_long_writes(row: RateRow, second: SecondModel) -> RateRow:
    """Add the rate of long-lived cache writes where only the second source has it."""
    rates = [
        second.rates.get((row.variant, CACHE_WRITE_1H, tier.above_input_tokens))
        for tier in row.tiers
    ]
    if CACHE_WRITE_1H in row.tiers[0].rates or None in rates:
        return row
    tiers = tuple(
        Tier(tier.above_input_tokens, {**tier.rates, CACHE_WRITE_1H: rate})
        for tier, rate in zip(row.tiers, rates, strict=True)
        if rate is not None
    )
    return replace(row, tiers=tiers)


def differences(name: str, row: RateRow, second: tuple[Tier, ...]) -> list[str]:
    theirs = {tier.above_input_tokens: tier.rates for tier in second}
    found = []
    for tier in row.tiers:
        above = tier.above_input_tokens
        if above not in theirs:
            found.append(f"{name} {row.variant}: only the first source has a tier above {above}")
        for kind, pico in tier.rates.items():
            other = theirs.get(above, {}).get(kind, pico)
            if other != pico:
                found.append(
                    f"{name} {row.variant} {kind} above {above}: {pico} against {other} p$"
                )
    extra = sorted(theirs.keys() - {tier.above_input_tokens for tier in row.tiers})
    return found + [
        f"{name} {row.variant}: only the second source has a tier above {above}" for above in extra
    ]


def released_rows(
    name: str, before: Model | None, fresh: list[RateRow], inputs: Inputs, findings: Findings
) -> list[RateRow]:
    """The committed rows, with new ones where the sources' price differs from today on."""
    if before is None:
        return fresh
    result: list[RateRow] = []
    regional = {row.variant for row in (*before.rows, *fresh) if without_region(row.variant)[1]}
    for variant in (*VARIANTS, *sorted(regional, key=order_of)):
        old = [row for row in before.rows if row.variant == variant]
        new = [row for row in fresh if row.variant == variant]
        result += _merged(name, old, new, inputs, findings) if old and new else old or new
        if new and not old:
            findings.changes.append(f"{name}: new variant {variant}")
    return result


def _merged(
    name: str, old: list[RateRow], new: list[RateRow], inputs: Inputs, findings: Findings
) -> list[RateRow]:
    rows = {row.starts_on: row for row in old}
    later = {row.starts_on for row in (*old, *new) if row.starts_on > inputs.today}
    for day in sorted({inputs.today, *later}):
        theirs = _at(new, day)
        ours = _at(list(rows.values()), day)
        if theirs is None:
            continue
        if ours is not None and _agrees(ours, theirs):
            if inputs.recheck and ours.starts_on <= day:
                rows[ours.starts_on] = replace(ours, checked_on=inputs.today)
            continue
        findings.changes.append(f"{name}: {theirs.variant} has another price from {day}")
        rows[day] = row_of(
            theirs.variant, day, theirs.tiers, url=theirs.url, checked_on=inputs.today
        )
    return [_completed_by(row, _at(new, row.starts_on)) for row in rows.values()]


def _completed_by(ours: RateRow, theirs: RateRow | None) -> RateRow:
    """A kind that a released row did not rate at all may be added: no call was priced by it."""
    if theirs is None or theirs.extra.items() <= ours.extra.items():
        return ours
    return replace(ours, extra={**theirs.extra, **ours.extra})


def with_fees(
    name: str,
    rows: list[RateRow],
    second: SecondModel | None,
    provider: str,
    findings: Findings,
) -> list[RateRow]:
    """Fees for variants that the first source does not list, and those of the older search tool.

    Fees for searches are the same in every variant (the providers list them apart from tokens).
    """
    done = []
    standard = [row for row in rows if row.variant == STANDARD]
    for row in rows:
        now = _at(standard, max(row.starts_on, standard[0].starts_on)) or row
        fees = {kind: now.extra[kind] for kind in FEE_KINDS if kind in now.extra}
        extra = {**fees, **row.extra}
        searches = extra.get(WEB_SEARCH)
        if second is not None and second.search_pico is not None and searches is not None:
            if provider == "openai":
                extra.setdefault(WEB_SEARCH_PREVIEW, second.search_pico)
            elif searches != second.search_pico:
                findings.between_sources.append(
                    f"{name} {row.variant} {WEB_SEARCH}: {searches} against {second.search_pico} p$"
                )
        done.append(replace(row, extra=extra))
    return done


def _at(rows: list[RateRow], day: date) -> RateRow | None:
    return max(
        (row for row in rows if row.starts_on <= day), key=lambda row: row.starts_on, default=None
    )


def _agrees(ours: RateRow, theirs: RateRow) -> bool:
    """Same tiers and rates; ours may rate more kinds (from the other source)."""
    if len(ours.tiers) != len(theirs.tiers):
        return False
    if any(ours.extra.get(kind, pico) != pico for kind, pico in theirs.extra.items()):
        return False
    return all(
        mine.above_input_tokens == other.above_input_tokens
        and other.rates.items() <= mine.rates.items()
        for mine, other in zip(ours.tiers, theirs.tiers, strict=True)
    )
