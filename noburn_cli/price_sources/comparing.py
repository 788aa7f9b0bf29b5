"""A book against the maintained sources: every rate, limit and date in which they differ.

Layer: pure, but for what genai-prices does.  Below: core, price_sources.genai, litellm_json,
agreement, hours, merging (Inputs), disagreements.  Above: commands.prices (`check`),
price_sources.taking.
Owns: which of a source's models is compared with which of ours, and on which day.
Not here: making a book of the sources (price_sources.making), which disagreements are known
(price_sources.disagreements).

A source that is silent about a kind, a variant or a model does not differ.  Rates are those in
force now; where genai-prices has hours, which know no days of the week, those of a working day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from typing import Any

from noburn_cli.core.models import STANDARD, Model, RateRow, Tier
from noburn_cli.core.rate_changes import exact_dollars
from noburn_cli.core.rate_schedules import Schedule, schedule_at, variants_of
from noburn_cli.price_sources.agreement import is_of
from noburn_cli.price_sources.disagreements import (
    GENAI,
    LITELLM,
    NO_TIER,
    Comparison,
    Disagreement,
    Known,
    explained,
)
from noburn_cli.price_sources.genai import first_rows, tiers_at
from noburn_cli.price_sources.hours import on_a_working_day
from noburn_cli.price_sources.litellm_json import SecondModel
from noburn_cli.price_sources.merging import Inputs

#: What is compared besides rates.
CONTEXT_WINDOW, INPUT_MAX = "context_window", "input_max"
OUTPUT_MAX, RETIRES_ON = "output_max", "retires_on"


def compare_book(models: Sequence[Model], inputs: Inputs, *, at: datetime) -> Comparison:
    """Every disagreement, in the order of the book."""
    found: list[Disagreement] = []
    compared, alone = [], []
    for model in models:
        first, url = _first_of(model, inputs)
        second = _second_of(model, inputs)
        if first is None and second is None:
            alone.append(model.name)
            continue
        compared.append(model.name)
        by_the_hour = model.name in inputs.manual.get("hourly", {})
        moment = on_a_working_day(at) if by_the_hour else at
        found += _compare(model, first, second, url, moment)
    reasoned = explained(found, inputs.manual.get("difference", []))
    return Comparison(reasoned, tuple(compared), tuple(alone))


def _first_of(model: Model, inputs: Inputs) -> tuple[Any, str]:
    """(the model of genai-prices that ours was made of, the page it cites)."""
    for group in inputs.manual["auto"]:
        if is_of(model, group, inputs):
            names = [one.removeprefix(group["prefix"]) for one in (model.name, *model.aliases)]
            ours = [m for owner in group["first"] for m in _of(owner, inputs)]
            by_id = next((one for one in ours if one.id in names), None)
            matched = (one for name in names for one in ours if one.is_match(name))
            known = GENAI in model.sources
            return (by_id or next(matched, None) if known else None), group["url"]
    extra = inputs.manual["model"].get(model.name, {})
    first = inputs.first.get((model.provider, extra.get("first", model.name)))
    return first, inputs.manual["urls"].get(model.provider, "")


def _of(owner: str, inputs: Inputs) -> Iterator[Any]:
    return (one for (provider, _), one in inputs.first.items() if provider == owner)


def _second_of(model: Model, inputs: Inputs) -> SecondModel | None:
    """litellm's entry of ours; None without its list."""
    if inputs.second is None:
        return None
    keys = [inputs.manual["model"].get(model.name, {}).get("second")]
    keys.append(inputs.manual.get("hourly", {}).get(model.name, {}).get("second"))
    group = next((one for one in inputs.manual["auto"] if is_of(model, one, inputs)), None)
    if group is not None:
        plain = model.name.removeprefix(group["prefix"])
        keys.append(group["second_prefix"] + plain)
    keys.append(f"gemini/{model.name}" if model.provider == "google" else model.name)
    return next((inputs.second[key] for key in keys if key in inputs.second), None)


def _compare(
    model: Model, first: Any, second: SecondModel | None, url: str, at: datetime
) -> Iterator[Disagreement]:
    at_ms = int(at.timestamp()) * 1000
    for variant in variants_of(model.rows):
        ours = model.row_at(variant, at_ms)
        if ours is None:
            continue
        theirs = {
            GENAI: _genai_row(model, first, variant, url, at),
            LITELLM: None if second is None else _litellm_row(second, variant, model, ours),
        }
        known = {name: row for name, row in theirs.items() if row is not None}
        rows = [row for row in model.rows if row.variant == variant]
        for one in _rates(model, ours, known, schedule_at(rows, at.date())):
            yield _of_another_day(one, ours, rows)
    yield from _facts(model, first, second)


def _of_another_day(one: Disagreement, ours: RateRow, rows: Sequence[RateRow]) -> Disagreement:
    """With its reason where litellm has the price that a change of ours ends, or begins.

    Its list has one price, and no day.  A row that was compared after it began is not excused.
    """
    if [name for name, said in one.theirs.items() if said != one.ours] != [LITELLM]:
        return one
    others = [row for row in rows if row.windows == ours.windows]
    before = max((r for r in others if r.starts_on < ours.starts_on), default=None, key=_start)
    after = min((r for r in others if r.starts_on > ours.starts_on), default=None, key=_start)
    words = {}
    if before is not None and ours.checked_on < ours.starts_on:
        words[_said_by(before, ours, one)] = f"before {ours.starts_on}"
    if after is not None:
        words[_said_by(after, ours, one)] = f"from {after.starts_on}"
    when = words.get(one.theirs[LITELLM])
    if when is None:
        return one
    reason = f"litellm's list knows no dates: it has the price {when}"
    return replace(one, known=Known(reason, ours.checked_on, ours.url))


def _start(row: RateRow) -> date:
    return row.starts_on


def _said_by(row: RateRow, ours: RateRow, one: Disagreement) -> str:
    return _dollars(one.what, _by_place(row, ours).get((one.what, one.above)))


def _genai_row(
    model: Model, first: Any, variant: str, url: str, at: datetime
) -> RateRow | None:  # fmt: skip
    if first is None:
        return None
    try:
        rows = first_rows(first, model.family, url=url, checked_on=at.date())
    except KeyError:
        return None  # Priced by something else than tokens.
    except ValueError:  # By the hour.
        if variant != STANDARD:
            return None
        tiers = tiers_at(first, model.family, at.astimezone(timezone.utc))
        return RateRow(variant, at.date(), 0, tiers, url, at.date())
    schedule = schedule_at([row for row in rows if row.variant == variant], at.date())
    return schedule[0] if schedule else None


def _litellm_row(
    second: SecondModel, variant: str, model: Model, ours: RateRow
) -> RateRow | None:  # fmt: skip
    tiers = second.tiers(variant, model.family)
    return None if tiers is None else RateRow(variant, ours.starts_on, 0, tiers, "", ours.starts_on)


def _rates(
    model: Model, ours: RateRow, theirs: Mapping[str, RateRow], schedule: Schedule
) -> Iterator[Disagreement]:
    """Rates of one variant in which a source says something else.

    litellm knows no hours: one of the day's rates is as good as another.
    """
    at_some_hour = [_by_place(row, ours) for row in schedule]
    tables = {name: _by_place(row, ours) for name, row in theirs.items()}
    mine = _by_place(ours, ours)
    places = dict.fromkeys([*mine, *(place for table in tables.values() for place in table)])
    for kind, above in places:
        pico = mine.get((kind, above))
        said = {
            name: table.get((kind, above))
            for name, table in tables.items()
            if (kind, above) in table or (above and (kind, 0) in table)
        }
        if (kind, 0) not in mine:
            continue  # A kind that we do not rate is refused, not mispriced.
        if LITELLM in said and any(
            hours.get((kind, above)) == said[LITELLM] for hours in at_some_hour
        ):
            said[LITELLM] = pico
        if any(other != pico for other in said.values()):
            words = {name: _dollars(kind, other) for name, other in said.items()}
            yield Disagreement(
                model.name, kind, ours.variant, above, _dollars(kind, pico), words,
                ours.checked_on, ours.url,
            )  # fmt: skip


def _by_place(row: RateRow, ours: RateRow) -> dict[tuple[str, int], int]:
    """Rates by kind and threshold; `from 200,000` and `above 199,999` are one threshold."""
    known = {tier.above_input_tokens for tier in ours.tiers}
    found = {(kind, 0): pico for kind, pico in row.extra.items()}
    for tier in row.tiers:
        above = _aligned(tier, known)
        found |= {(kind, above): pico for kind, pico in tier.rates.items()}
    return found


def _aligned(tier: Tier, known: Iterable[int]) -> int:
    above = tier.above_input_tokens
    near = [one for one in known if one and abs(one - above) <= 1]
    return near[0] if near else above


def _dollars(kind: str, pico: int | None) -> str:
    return NO_TIER if pico is None else exact_dollars(kind, pico)


def _facts(model: Model, first: Any, second: SecondModel | None) -> Iterator[Disagreement]:
    """Limits and the day of retirement, where a source gives another."""
    ours: dict[str, Any] = {
        CONTEXT_WINDOW: model.context_window, INPUT_MAX: model.input_max,
        OUTPUT_MAX: model.output_max, RETIRES_ON: model.retires_on,
    }  # fmt: skip
    theirs: dict[str, tuple[str, Any]] = {}
    if first is not None:
        theirs[CONTEXT_WINDOW] = (GENAI, first.context_window)
    if second is not None:
        theirs[INPUT_MAX] = (LITELLM, second.input_max)
        theirs[RETIRES_ON] = (LITELLM, second.retires_on)
        if model.output_max is not None:
            theirs[OUTPUT_MAX] = (LITELLM, second.output_max)
    row = model.rows[0]
    for what, (name, value) in theirs.items():
        mine = ours[what]
        if value is not None and value != mine:
            shown = "none" if mine is None else str(mine)
            said = {name: str(value)}
            yield Disagreement(model.name, what, "", 0, shown, said, row.checked_on, row.url)
