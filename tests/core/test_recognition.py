"""Recognition by day: identities that hold for any facts, and an independent count by days."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from noburn_cli.core.profit import CostLine, Figures
from noburn_cli.core.profit_cells import Cells
from noburn_cli.core.profit_rules import Rules
from noburn_cli.core.recognition import Recognition
from noburn_cli.core.recognition_days import Days, period_of, share_out
from noburn_cli.core.recognition_earning import Change, Earning
from noburn_cli.core.recognition_reading import LINES, recognise
from noburn_cli.core.revenue import RevenueFact

DAY = date(2026, 1, 1).toordinal()
HOUR_MS = 3_600_000
EPOCH = date(1970, 1, 1).toordinal()
STATES = ("collected", "invoiced", "draft", "uncollectible")
#: Shrinking a whole history takes minutes; a seed is as good.
NO_SHRINK = [phase for phase in Phase if phase is not Phase.shrink]
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia")


def ms(day: int, hour: int = 0) -> int:
    """A moment of a day in UTC."""
    return (day - EPOCH) * 24 * HOUR_MS + hour * HOUR_MS


def fact(name: str, kind: str, nano: int, first: int, last: int, at: int, **more) -> RevenueFact:
    base = RevenueFact(
        id=name, source="csv", kind=kind, payer="p", payer_name="", customer="acme", feature=None,
        plan="pro", amount_minor=0, currency="USD", amount_nano=nano, rate="", rate_source="",
        starts_ms=ms(first), ends_ms=ms(last), at_ms=ms(at, 9), document="d", state="collected",
    )  # fmt: skip
    return replace(base, **more)


@st.composite
def histories(draw):
    """Lines with discounts, tax, refunds, disputes, won ones, and write-offs that never exceed."""
    facts = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(LINES))
        first = DAY + draw(st.integers(0, 40))
        last = first + draw(st.integers(0, 40))
        at = DAY + draw(st.integers(0, 60))
        gross = draw(st.integers(1, 10**12))
        who = {"customer": draw(st.sampled_from(["acme", "beta", None])),
               "feature": draw(st.sampled_from([None, "chat", "agent"])),
               "state": draw(st.sampled_from(STATES))}  # fmt: skip
        line = fact(f"l{number}", kind, gross, first, last, at, **who)
        tax = draw(st.integers(0, gross // 4))
        discount = draw(st.integers(0, (gross - tax)))
        facts += [
            line,
            fact(f"t{number}", "tax", -tax, first, last, at, reverses=line.id, **who),
            fact(f"d{number}", "discount", -discount, first, last, at, reverses=line.id, **who),
        ]
        left, taken, day = gross - tax - discount, 0, at
        for step in range(draw(st.integers(0, 3))):
            day += draw(st.integers(0, 20))  # In the order of time, so that none exceeds.
            name = f"r{number}.{step}"
            if taken and draw(st.booleans()):
                back = draw(st.integers(0, taken))
                day += 1  # What was taken comes back after it went.
                facts.append(fact(name, "dispute_won", back, first, last, day,
                                  reverses=line.id, **who))  # fmt: skip
                left, taken = left + back, taken - back
            else:
                kind = draw(st.sampled_from(["refund", "credit_note", "dispute", "adjustment"]))
                part = draw(st.integers(0, left))
                own_tax = draw(st.integers(0, part // 5))
                facts.append(fact(name, kind, -part - own_tax, first, last, day,
                                  reverses=line.id, **who))  # fmt: skip
                facts.append(fact(f"{name}t", "tax", own_tax, first, last, day, reverses=name,
                                  **who))  # fmt: skip
                left, taken = left - part, taken + part
        fee = draw(st.integers(0, gross // 10))
        facts.append(fact(f"f{number}", "fee", -fee, first, last, at, reverses=line.id, **who))
    return facts


@st.composite
def usages(draw):
    """Cost lines of some customers over the days of the histories."""
    return [
        CostLine(
            DAY + draw(st.integers(0, 80)), draw(st.sampled_from(["acme", "beta", "(none)"])),
            draw(st.sampled_from(["chat", "agent", "(none)"])), draw(st.sampled_from(["m1", "m2"])),
            draw(st.integers(0, 10**10)), 0, 0, 0, draw(st.integers(0, 5)), 10,
        )
        for _ in range(draw(st.integers(0, 12)))
    ]  # fmt: skip


def read(facts, costs, zone="UTC") -> Recognition:
    by_day = defaultdict(lambda: defaultdict(int))
    for line in costs:
        for feature in (line.feature, None):
            by_day[line.customer, feature][line.day] += line.cost_nano
    draws = {name: dict(days) for (name, feature), days in by_day.items() if feature is None}
    return recognise(
        facts, days=Days(zone), usage=by_day, now_ms=ms(DAY + 100), final_after_days=30,
        credit_draws=draws,
    )  # fmt: skip


@settings(max_examples=35, deadline=None, phases=NO_SHRINK)
@given(histories(), usages())
def test_recognised_and_deferred_are_billed_at_every_day(facts, costs):
    """Goal: no day has money that nobody billed or that went nowhere; the end is what is owed."""
    found = read(facts, costs)
    before = 0
    for day in range(DAY - 1, DAY + 200):
        at = found.position(day)
        assert at.recognised_nano + at.deferred_nano == at.billed_nano + at.unbilled_nano
        earned = sum(
            one.amounts(day, day + 1).net_nano for one in found.streams if one.kind != "fee"
        )
        assert at.recognised_nano - before == earned  # What days earn adds up to where it stands.
        before = at.recognised_nano
    counted = [one for one in facts if one.kind != "fee" and one.amount_nano]
    owed = sum(one.amount_nano for one in counted)
    end = found.position(date.max.toordinal() - 1)
    assert end.recognised_nano == owed
    assert end.deferred_nano == 0
    assert sum(one.amounts(0, DAY + 10_000).fees_nano for one in found.streams) == sum(
        one.amount_nano for one in facts if one.kind == "fee"
    )


@settings(max_examples=35, deadline=None, phases=NO_SHRINK)
@given(histories(), usages())
def test_a_line_is_never_earned_beyond_what_is_kept_of_it(facts, costs):
    """Goal: a refund never leaves more recognised than was collected, nor less than nothing."""
    for one in read(facts, costs).streams:
        if one.kind == "fee":
            continue
        kept = one.gross_nano + one.discount_nano
        changes = sorted(one.changes, key=lambda change: (change.day, change.nano))
        for day in range(DAY - 1, DAY + 160):
            now = kept + sum(change.nano for change in changes if change.day <= day)
            assert 0 <= one.earning.through(day) <= now


@settings(max_examples=25, deadline=None, phases=NO_SHRINK)
@given(
    histories(), usages(), st.integers(0, 60), st.integers(1, 60),
    st.sampled_from(["cost", "requests"]), st.integers(0, 10**10), st.integers(0, 10**6),
    st.fractions(0, 1), st.integers(0, 10**11), st.sampled_from(["calls", "revenue"]),
)  # fmt: skip
def test_every_grouping_adds_up_to_the_same(
    facts, costs, start, length, split, customer, request, share, month, by
):
    """Goal: sum over customers = sum over features = … = the ledger's total, to the nano-dollar."""
    first, until = DAY + start, DAY + start + length
    rules = Rules(
        split=split, overhead_customer_nano=customer, overhead_request_nano=request,
        overhead_share=share, overhead_month_nano=month, overhead_by=by,
    )  # fmt: skip
    found = read(facts, costs)
    totals = []
    for grouping in (("customer",), ("feature",), ("day",), ("plan",), ("model",),
                     ("customer", "feature", "model"), ("day", "feature", "plan")):  # fmt: skip
        cells = Cells(found.streams, costs, rules=rules, first=first, until=until, by=grouping)
        total = Figures()
        for figures in cells.grouped(grouping).values():
            assert sum(figures.states.values()) == figures.net_nano
            total.add(figures)
        totals.append(total)
    assert all(total == totals[0] for total in totals)
    in_period = [line for line in costs if first <= line.day < until]
    assert totals[0].cost_nano == sum(line.cost_nano for line in in_period)
    assert totals[0].calls == sum(line.calls for line in in_period)
    position = found.position(until - 1).recognised_nano - found.position(first - 1).recognised_nano
    assert totals[0].net_nano == position


def test_a_period_is_spread_by_days_of_the_zone():
    """Goal: a day that the clocks cut is a day, and parts of days are parts."""
    berlin, days = ZoneInfo("Europe/Berlin"), Days("Europe/Berlin")
    start = datetime(2026, 3, 20, 12, tzinfo=berlin)
    end = datetime(2026, 4, 19, 12, tzinfo=berlin)
    period = period_of(days, int(start.timestamp()) * 1000, int(end.timestamp()) * 1000)
    earning = Earning(30_000_000_000, period)
    amounts = [
        earning.through(day) - earning.through(day - 1)
        for day in range(period.first, period.last + 1)
    ]
    assert len(amounts) == 31
    assert (amounts[0], amounts[-1]) == (500_000_000, 500_000_000)
    assert set(amounts[1:-1]) == {1_000_000_000}  # The 23 hours of March 29th among them.


@given(st.integers(0, 10**6), st.sampled_from(ZONES))
def test_days_touch_and_tell_their_own_moments(hours, zone):
    days = Days(zone)
    at_ms = ms(DAY) + hours * HOUR_MS // 100 * 7
    day = days.of(at_ms)
    start_ms, end_ms = days.bounds(day)
    assert start_ms <= at_ms < end_ms
    assert days.bounds(day + 1)[0] == end_ms


def by_single_days(nano, first, last, refunds):
    """An amount spread over days one by one, the way a person would with a pencil; exact."""
    left, earned, owed = {day: Fraction(nano, last - first) for day in range(first, last)}, {}, nano
    for day in range(first, max([last, *[d + 1 for d, _ in refunds]])):
        for when, part in refunds:
            if when == day:
                ahead = sum(left.get(one, 0) for one in range(day, last))
                from_ahead = min(Fraction(part), ahead)
                for one in range(day, last):
                    left[one] -= left[one] * from_ahead / ahead if ahead else 0
                earned[day] = earned.get(day, Fraction(0)) - (part - from_ahead)
                owed -= part
        earned[day] = earned.get(day, Fraction(0)) + left.get(day, 0)
    assert sum(earned.values()) == owed
    return earned


@given(
    st.integers(1, 10**12), st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 100)), max_size=3),
)  # fmt: skip
def test_refunds_take_what_is_not_earned_first_as_a_pencil_would(nano, length, parts):
    """Goal: no day is further than rounding from an independent count."""
    left, refunds = nano, []
    for day, percent in sorted(parts):
        part = left * percent // 100
        left -= part
        refunds.append((DAY + day, part))
    period = period_of(Days(), ms(DAY), ms(DAY + length))
    earning = Earning(nano, period, [Change(day, -part, "refund") for day, part in refunds])
    run = Fraction(0)
    for day, exact in sorted(by_single_days(nano, DAY, DAY + length, refunds).items()):
        run += exact
        assert abs(earning.through(day) - run) <= 3


def test_a_refund_of_a_cancelled_month_leaves_the_days_that_were_served():
    period = period_of(Days(), ms(DAY), ms(DAY + 30))
    half = Earning(30_000, period, [Change(DAY + 10, -20_000, "refund")])
    assert [half.through(DAY + day) for day in (9, 10, 29)] == [10_000, 10_000, 10_000]
    assert half.jumps == []
    whole = Earning(30_000, period, [Change(DAY + 10, -30_000, "refund")])
    assert [whole.through(DAY + day) for day in (9, 10, 29)] == [10_000, 0, 0]
    assert whole.jumps == [Change(DAY + 10, -10_000, "refund")]
    won = Earning(
        30_000, period,
        [Change(DAY + 10, -30_000, "dispute"), Change(DAY + 20, 30_000, "dispute_won")],
    )  # fmt: skip
    assert [won.through(DAY + day) for day in (10, 19, 20, 29)] == [0, 0, 21_000, 30_000]


def test_usage_is_earned_when_it_was_used_and_credits_when_they_are_spent():
    """Goal: the ledger decides the days; what expires is earned on its last day, and said."""
    costs = [
        CostLine(DAY + 1, "acme", "chat", "m", 300, 0, 0, 0, 1, 1),
        CostLine(DAY + 3, "acme", "chat", "m", 100, 0, 0, 0, 1, 1),
        CostLine(DAY + 3, "acme", "agent", "m", 600, 0, 0, 0, 1, 1),
    ]
    used = read([fact("u", "usage", 4_000, DAY, DAY + 10, DAY + 10, feature="chat")], costs)
    assert [used.position(DAY + day).recognised_nano for day in (0, 1, 2, 3)] == [
        0,
        3000,
        3000,
        4000,
    ]
    assert used.position(DAY + 5).unbilled_nano == 4000
    unknown = read([fact("u", "usage", 1000, DAY, DAY + 10, DAY + 10, customer="beta")], costs)
    assert unknown.position(DAY + 4).recognised_nano == 500
    assert not unknown.streams[0].curve_known
    grants = [
        fact("old", "credit_grant", 500, DAY, DAY + 3, DAY),
        fact("new", "credit_grant", 1000, DAY, DAY, DAY),
    ]
    spent = read(grants, costs)
    by_day = [spent.position(DAY + day).recognised_nano for day in (0, 1, 2, 3, 90)]
    assert by_day == [0, 300, 500, 1200, 1200]  # 300 spent, 200 expired, 700 of the other one.
    assert spent.position(DAY + 90).deferred_nano == 300
    assert {one.breakage for one in spent.streams} == {None, (DAY + 2, 200)}


def test_what_cannot_be_in_dollars_is_listed_and_void_counts_for_nothing():
    facts = [
        fact("a", "subscription", 0, DAY, DAY + 1, DAY, amount_nano=None, currency="EUR"),
        fact("b", "subscription", 700, DAY, DAY + 1, DAY, state="void"),
    ]  # fmt: skip
    found = read(facts, [])
    assert [one.id for one in found.no_rate] == ["a"]
    assert found.streams == ()


@pytest.mark.parametrize(
    ("state", "days_ago", "shown"),
    [
        *(("draft", 0, "provisional"), ("invoiced", 90, "invoiced"), ("collected", 5, "collected")),
        *(("collected", 31, "final"), ("refunded", 1, "final"), ("disputed", 5, "collected")),
    ],
)
def test_states(state, days_ago, shown):
    at = DAY + 100 - days_ago
    (found,) = read([fact("a", "subscription", 700, at, at + 1, at - 1, state=state)], []).streams
    assert found.state == shown


@given(
    st.integers(-(10**12), 10**12),
    st.dictionaries(st.sampled_from("abcde"), st.integers(1, 10**9), min_size=1),
)
def test_shares_add_up_and_are_near(amount, weights):
    parts = share_out(amount, weights)
    whole = sum(weights.values())
    assert sum(parts.values()) == amount
    for key, part in parts.items():
        assert abs(part - Fraction(amount * weights[key], whole)) <= 1


def test_moments_are_utc():
    """Goal: the helper of this file says what it means."""
    assert datetime.fromtimestamp(ms(DAY) / 1000, timezone.utc).date() == date.fromordinal(DAY)
    assert ms(DAY + 1) - ms(DAY) == timedelta(days=1) // timedelta(milliseconds=1)
