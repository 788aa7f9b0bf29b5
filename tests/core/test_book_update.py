"""A newer book over an older one: the past stays, the price from today on is the newer one's."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core.book_update import (
    ANNOUNCED,
    COMPLETED,
    CORRECTION,
    PRICE,
    WITHDRAWN,
    UpdatePlan,
    plan_update,
)
from noburn_cli.core.models import Model, RateRow, Tier, Window
from noburn_cli.core.rate_schedules import same_schedule, schedule_at

TODAY = date(2026, 12, 15)
FIRST = date(1970, 1, 1)
NIGHT = Window(60, 240, (0, 1, 2, 3, 4, 5, 6))


def row(day: date, dollars: int, *, windows: tuple[Window, ...] = (), **extra: int) -> RateRow:
    start = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    rates = {"input": dollars * 10**6, "output": 5 * dollars * 10**6}
    return RateRow(
        "standard", day, int(start.timestamp()) * 1000, (Tier(0, rates),),
        "https://example.org", day, extra, windows,
    )  # fmt: skip


def model(*rows: RateRow, name: str = "m", aliases: tuple[str, ...] = ()) -> Model:
    return Model(
        name=name, provider="p", family="text", tokenizer="gemini", context_window=1, input_max=1,
        output_max=1, output_min=1, cache_writes="priced", aliases=aliases, rows=rows, sources=(),
    )  # fmt: skip


def planned(
    old: list[RateRow], new: list[RateRow], *, corrections: bool = False
) -> tuple[list[tuple[str, date, bool]], tuple[RateRow, ...]]:
    plan = plan_update([model(*old)], [model(*new)], today=TODAY, corrections=corrections)
    rows = [(one.kind, one.starts_on, one.applied) for _, one in plan.rows(*KINDS)]
    return rows, plan.result[0].rows


KINDS = (PRICE, ANNOUNCED, WITHDRAWN, COMPLETED, CORRECTION)


def day(offset: int) -> date:
    return TODAY + timedelta(days=offset)


def test_a_new_price_ends_the_old_row_on_its_day() -> None:
    told, rows = planned([row(FIRST, 1)], [row(FIRST, 1), row(day(-10), 2)])
    assert (told, rows) == ([(PRICE, day(-10), True)], (row(FIRST, 1), row(day(-10), 2)))


def test_what_is_said_of_the_past_is_a_correction() -> None:
    """Goal: without a word the past stays, and the newer price holds from today on."""
    told, rows = planned([row(FIRST, 1)], [row(FIRST, 3)])
    assert told == [(CORRECTION, FIRST, False), (PRICE, TODAY, True)]
    assert [(one.starts_on, one.tiers) for one in rows] == [
        (FIRST, row(FIRST, 1).tiers), (TODAY, row(FIRST, 3).tiers),
    ]  # fmt: skip
    told, rows = planned([row(FIRST, 1)], [row(FIRST, 3)], corrections=True)
    assert (told, rows) == ([(CORRECTION, FIRST, True)], (row(FIRST, 3),))
    # A row that began today has priced calls: the other price begins tomorrow.
    told, rows = planned([row(FIRST, 1), row(TODAY, 2)], [row(FIRST, 1), row(TODAY, 3)])
    assert told == [(CORRECTION, TODAY, False), (PRICE, day(1), True)]


def test_announced_rows_follow_and_may_be_withdrawn() -> None:
    told, rows = planned([row(FIRST, 1), row(day(9), 2)], [row(FIRST, 1), row(day(9), 4)])
    assert (told, rows[-1]) == ([(ANNOUNCED, day(9), True)], row(day(9), 4))
    told, rows = planned([row(FIRST, 1), row(day(9), 2)], [row(FIRST, 1)])
    assert (told, rows) == ([(WITHDRAWN, day(9), True)], (row(FIRST, 1),))


def test_a_kind_without_a_price_may_get_one() -> None:
    told, rows = planned([row(FIRST, 1)], [row(FIRST, 1, web_search=10**10)])
    assert (told, rows) == ([(COMPLETED, FIRST, True)], (row(FIRST, 1, web_search=10**10),))
    # Cached audio without a rate costs what audio costs: a rate of its own is another price.
    before = row(FIRST, 1, audio_input=10)
    told, _ = planned([before], [row(FIRST, 1, audio_input=10, audio_cache_read=1)])
    assert told == [(CORRECTION, FIRST, False), (PRICE, TODAY, True)]


def test_hours_are_terms_like_any_other() -> None:
    old = [row(FIRST, 1)]
    new = [row(FIRST, 1), row(day(-5), 1), row(day(-5), 2, windows=(NIGHT,))]
    told, rows = planned(old, new)
    assert told == [(PRICE, day(-5), True)]
    assert same_schedule(schedule_at(rows, TODAY), schedule_at(new, TODAY))
    assert same_schedule(schedule_at(rows, day(-6)), (row(FIRST, 1),))


def test_models_come_and_never_go() -> None:
    old = [model(row(FIRST, 1), name="kept"), model(row(FIRST, 1), name="same")]
    new = [model(row(FIRST, 1), name="same"), model(row(FIRST, 1), name="n", aliases=("kept", "k"))]
    plan = plan_update(old, new, today=TODAY)
    assert [(one.name, one.kind) for one in plan.models] == [("n", "new"), ("kept", "gone")]
    assert {one.name for one in plan.result} == {"kept", "same", "n"}
    assert plan.models[0].model.aliases == ("k",)  # a name in use is not given away
    assert plan.unchanged == ("same",)
    limits = [replace(old[0], context_window=2)]
    (changed, *_) = plan_update(old, limits, today=TODAY).models
    assert [fact.key for fact in changed.facts] == ["context_window"]


def test_a_name_keeps_its_model_unless_that_gives_it_up() -> None:
    """Goal: an alias, and a name that was one, of a model that stays, and of one that yields."""
    dear, cheap = model(row(FIRST, 9), name="dear", aliases=("x",)), model(row(FIRST, 1), name="c")
    taker = replace(cheap, aliases=("x", "y"))
    plan = plan_update([dear, cheap], [taker], today=TODAY)
    assert {one.name: one.aliases for one in plan.result} == {"dear": ("x",), "c": ("y",)}
    assert [(one.model, "stays `dear`" in one.text) for one in plan.refused] == [("c", True)]
    plan = plan_update([dear, cheap], [replace(cheap, name="x")], today=TODAY)
    assert ({one.name for one in plan.result}, len(plan.refused)) == ({"dear", "c"}, 1)
    plan = plan_update([dear, cheap], [taker, replace(dear, aliases=())], today=TODAY)
    assert {one.name: one.aliases for one in plan.result} == {"dear": (), "c": ("x", "y")}
    assert (plan.refused, plan.moved) == ((), (("x", "dear", "c"),))
    # A dated name was found without its date until now.
    plan = plan_update([dear], [dear, replace(cheap, aliases=("dear-2026-01-01",))], today=TODAY)
    assert plan.moved == (("dear-2026-01-01", "dear", "c"),)


def test_nothing_becomes_free_and_no_limit_shrinks_unasked() -> None:
    old = replace(model(row(FIRST, 1)), context_window=100, input_max=100, output_max=50)
    for name in ("m", "new"):
        free = replace(model(row(FIRST, 1), row(day(5), 0), name=name))
        plan = plan_update([old], [free], today=TODAY, corrections=True)
        assert (plan.result, [one.model for one in plan.refused]) == ((old,), [name])
    less = replace(old, context_window=10, input_max=10, output_max=5, aliases=("a",))
    plan = plan_update([old], [less], today=TODAY)
    assert plan.result == (replace(old, aliases=("a",)),)
    assert [one.text.split()[0] for one in plan.refused] == ["context_window", "output_max"]
    asked = plan_update([old], [less], today=TODAY, corrections=True)
    assert (asked.result, asked.refused) == ((less,), ())


SERIES = st.dictionaries(
    st.sampled_from([FIRST, *(day(n) for n in (-20, -10, -1, 0, 1, 2, 20))]),
    st.integers(1, 3),
    min_size=1,
).map(lambda days: [row(one, days[one]) for one in sorted(days)])


@settings(deadline=None)
@given(SERIES, SERIES, st.booleans())
def test_whatever_the_two_say(old: list[RateRow], new: list[RateRow], corrections: bool) -> None:
    """Goal: no day that passed changes unasked, every later one is the newer book's; twice is once.

    Days after our last row and before today are the newer book's as well: rows are appended there.
    """
    plan = plan_update([model(*old)], [model(*new)], today=TODAY, corrections=corrections)
    rows = plan.result[0].rows
    last = max((one.starts_on for one in old if one.starts_on <= TODAY), default=date.min)
    for offset in range(-25, 25):
        at, ours, theirs = (schedule_at(part, day(offset)) for part in (rows, old, new))
        if not theirs:
            assert offset > 0 or same_schedule(at, ours)
        elif corrections or offset > 1:
            assert same_schedule(at, theirs)
        elif day(offset) <= last:
            assert same_schedule(at, ours)
    again: UpdatePlan = plan_update(plan.result, [model(*new)], today=TODAY)
    assert not again.changes_anything
