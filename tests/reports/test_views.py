"""The rules behind the views: periods, the Pareto view, unusual days, the end of the month."""

from __future__ import annotations

import math
import random
from datetime import date, datetime, timedelta
from fractions import Fraction

import pytest

from noburn_cli.errors import UsageError
from noburn_cli.render.report import render_report, report_data
from noburn_cli.render.report_columns import report_columns
from noburn_cli.render.report_notes import notes
from noburn_cli.render.steps import render_steps, steps_data
from noburn_cli.reports.anomalies import Rule, judge
from noburn_cli.reports.forecast import forecast
from noburn_cli.reports.latencies import ERROR, Latencies, bucket_of
from noburn_cli.reports.localtime import LocalTime
from noburn_cli.reports.pareto import make_pareto
from noburn_cli.reports.period import before, parse_period
from noburn_cli.reports.query import Question
from noburn_cli.reports.top import top_lines
from noburn_cli.reports.totals import Imported, Line, Report, Sums, Unpriced, make_report

DOLLAR = 1_000_000_000
BERLIN = "Europe/Berlin"


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


NOW = _ms("2026-11-27T14:30:00+01:00")


@pytest.mark.parametrize(
    ("word", "zone", "since", "until"),
    [
        ("today", BERLIN, "2026-11-27T00:00+01:00", None),
        ("yesterday", BERLIN, "2026-11-26T00:00+01:00", "2026-11-27T00:00+01:00"),
        ("week", "UTC", "2026-11-23T00:00+00:00", None),
        ("last-week", "UTC", "2026-11-16T00:00+00:00", "2026-11-23T00:00+00:00"),
        ("month", BERLIN, "2026-11-01T00:00+01:00", None),
        ("last-month", BERLIN, "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00"),
        ("2026-10", BERLIN, "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00"),
        ("2025", "UTC", "2025-01-01T00:00+00:00", "2026-01-01T00:00+00:00"),
        ("year", "UTC", "2026-01-01T00:00+00:00", None),
        ("7d", "UTC", "2026-11-21T00:00+00:00", None),
        ("2w", "UTC", "2026-11-16T00:00+00:00", None),
        ("24h", BERLIN, "2026-11-26T14:30+01:00", None),
        ("2026-10-24..2026-10-25", BERLIN, "2026-10-24T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("all", "UTC", None, None),
        # Not over, but its end was said: what a wrong clock dates after it is not in it.
        ("2026-11", "UTC", "2026-11-01T00:00+00:00", "2026-12-01T00:00+00:00"),
        ("2026-11-20..2026-12-02", "UTC", "2026-11-20T00:00+00:00", "2026-12-03T00:00+00:00"),
    ],
)
def test_periods(word: str, zone: str, since: str | None, until: str | None) -> None:
    found = parse_period(word, now_ms=NOW, zone=zone)
    assert found.since_ms == (None if since is None else _ms(since))
    assert found.until_ms == (None if until is None else _ms(until))


@pytest.mark.parametrize("word", ["", "mnoth", "0d", "2026-13", "2026-11-02..2026-11-01", "1..2"])
def test_what_is_no_period(word: str) -> None:
    with pytest.raises(UsageError):
        parse_period(word, now_ms=NOW)


@pytest.mark.parametrize(
    ("since", "until", "zone", "first", "last"),
    [
        # A month so far: as far into the one before.
        ("2026-11-01T00:00+01:00", None, BERLIN, "2026-10-01T00:00+02:00",
         "2026-10-27T14:30+01:00"),
        # February has no 31st: never into the period itself.
        ("2026-03-01T00:00Z", "2026-03-31T12:00Z", "UTC", "2026-02-01T00:00Z", "2026-03-01T00:00Z"),
        ("2026-10-01T00:00Z", "2026-11-01T00:00Z", "UTC", "2026-09-01T00:00Z", "2026-10-01T00:00Z"),
        # A month that is named and not over.
        ("2026-11-01T00:00Z", "2026-12-01T00:00Z", "UTC", "2026-10-01T00:00Z", "2026-10-27T13:30Z"),
        ("2026-01-01T00:00Z", "2026-04-01T00:00Z", "UTC", "2025-10-01T00:00Z", "2026-01-01T00:00Z"),
        ("2026-11-21T00:00Z", None, "UTC", "2026-11-14T00:00Z", "2026-11-20T13:30Z"),
        ("2026-11-23T00:00Z", "2026-11-26T00:00Z", "UTC", "2026-11-20T00:00Z", "2026-11-23T00:00Z"),
        ("2026-11-26T13:30Z", None, "UTC", "2026-11-25T13:30Z", "2026-11-26T13:30Z"),
    ],
)  # fmt: skip
def test_the_period_before(since: str, until: str | None, zone: str, first: str, last: str) -> None:
    asked = Question(
        (), since_ms=_ms(since), until_ms=None if until is None else _ms(until), zone=zone
    )
    assert before(asked, now_ms=NOW) == (_ms(first), _ms(last))


def test_local_days_touch_also_where_clocks_are_set() -> None:
    for zone in (BERLIN, "Asia/Kolkata", "America/Havana", "Australia/Lord_Howe"):
        local, at_ms = LocalTime(zone), _ms("2026-03-01T00:00Z")
        for _ in range(260):
            start, end = local.day_bounds(at_ms)
            assert start <= at_ms < end
            assert local.day_bounds(end)[0] == end
            assert local.date_of(end) == local.date_of(start) + timedelta(days=1)
            assert local.start_ms(local.date_of(start)) == start
            assert not start % 900_000
            at_ms = end + 3_600_001


def test_percentiles_from_buckets_are_right_to_a_fortieth() -> None:
    draw = random.Random(1)
    taken = sorted(int(draw.lognormvariate(7, 1.5)) + 1 for _ in range(2_000))
    counts: dict[int, int] = {}
    for ms in taken:
        counts[bucket_of(ms)] = counts.get(bucket_of(ms), 0) + 1
    for share in (Fraction(1, 2), Fraction(19, 20), Fraction(99, 100), Fraction(1)):
        exact = taken[math.ceil(share * len(taken)) - 1]
        told = Latencies(counts).percentile_ms(share)
        assert told is not None
        assert abs(told - exact) <= exact * ERROR + 1
    assert Latencies({}).percentile_ms(Fraction(1, 2)) is None


def test_the_few_that_make_most() -> None:
    costs = {"agent": 65, "chat": 20, "mail": 10, "tags": 5}
    lines = [Line((name,), Sums(calls=1, cost_nano=cost)) for name, cost in costs.items()]
    found = make_pareto(make_report(("feature",), lines), "user", {"agent": 20, "chat": 100}, 100)
    assert [part.line.keys[0] for part in found.parts] == list(costs)
    assert [part.running for part in found.parts] == [
        Fraction(65, 100), Fraction(85, 100), Fraction(95, 100), Fraction(1),
    ]  # fmt: skip
    assert (found.few, found.parts[0].served, found.parts[3].served) == (2, 20, 0)
    nothing = make_pareto(make_report(("feature",), []), None, {}, 0)
    assert (nothing.parts, nothing.few) == ((), 0)


def _days(count: int, cost: object, first: date = date(2026, 9, 1)) -> dict[date, int]:
    draw = cost if callable(cost) else lambda _n: cost
    return {first + timedelta(days=n): int(draw(n)) for n in range(count)}


def test_a_customer_at_five_times_their_norm() -> None:
    steady = _days(40, 3 * DOLLAR)
    day = max(steady)
    assert not judge({"acme": steady}, day, day).unusual
    for times, found in (("4.9", 0), ("5", 1)):
        jumped = steady | {day: int(Fraction(times) * 3 * DOLLAR)}
        judged = judge({"acme": jumped, "globex": steady}, day, day)
        assert [one.name for one in judged.unusual] == ["acme"] * found
        assert judged.looked_at == 2
    # Too little to matter; too little known; wild anyway; one dear day before does not hide it.
    small = _days(40, DOLLAR // 100) | {day: DOLLAR // 2}
    assert not judge({"acme": small}, day, day).unusual
    assert judge({"acme": small}, day, day, Rule(least_nano=DOLLAR // 10)).unusual
    young = _days(9, DOLLAR, day - timedelta(days=9)) | {day: 90 * DOLLAR}
    assert judge({"new": young}, day, day).without == ("new",)
    wild = _days(40, lambda n: DOLLAR * 9 ** (n % 3)) | {day: 60 * DOLLAR}
    assert not judge({"acme": wild}, day, day).unusual
    twice = steady | {day - timedelta(days=1): 90 * DOLLAR, day: 20 * DOLLAR}
    assert len(judge({"acme": twice}, day - timedelta(days=1), day).unusual) == 2


@pytest.mark.parametrize(("spread", "most"), [(0.3, 0), (0.6, 0.0005), (1.0, 0.004), (1.5, 0.006)])
def test_false_alarms_are_rare(spread: float, most: float) -> None:
    """Goal: who reads the list every morning is not taught to ignore it."""
    draw = random.Random(7)
    costs = {}
    for number in range(150):
        size = math.exp(draw.gauss(2, 1.5))
        costs[f"c{number}"] = {
            day: int(cost * size * DOLLAR * (0.2 if day.weekday() > 4 else 1))
            for day, cost in (
                (date(2026, 9, 1) + timedelta(days=n), draw.lognormvariate(0, spread))
                for n in range(58)
            )
            if draw.random() < 0.9
        }
    judged = judge(costs, date(2026, 9, 29), date(2026, 10, 28))
    assert judged.looked_at > 3_000
    assert len(judged.unusual) <= most * judged.looked_at


def _together(resemblance: float, spread: float) -> object:
    def make(draw: random.Random, count: int) -> list[float]:
        now, found = draw.gauss(0, 1), []
        for _ in range(count):
            now = resemblance * now + math.sqrt(1 - resemblance**2) * draw.gauss(0, 1)
            found.append(math.exp(3 + spread * now))
        return found

    return make


def _weekly(draw: random.Random, count: int) -> list[float]:
    return [(0.3 if n % 7 > 4 else 1.2) * draw.lognormvariate(3, 0.25) for n in range(count)]


@pytest.mark.parametrize(
    ("make", "history", "least", "most"),
    [
        (_together(0, 0.3), 8, 0.72, 0.90), (_together(0, 0.3), 42, 0.76, 0.92),
        (_together(0, 1.0), 42, 0.74, 0.90), (_weekly, 28, 0.74, 0.92), (_weekly, 56, 0.76, 0.94),
        (_together(0.5, 0.3), 42, 0.70, 0.88), (_together(0.7, 0.3), 42, 0.64, 0.84),
    ],
)  # fmt: skip
def test_the_interval_holds_as_often_as_it_says(
    make: object, history: int, least: float, most: float
) -> None:
    draw, today, ends = random.Random(1), date(2026, 11, 16), date(2026, 12, 1)
    begun, hits, tries = today - timedelta(days=history), 0, 200
    for _ in range(tries):
        assert callable(make)
        series = make(draw, history + 15)
        costs = {begun + timedelta(days=n): int(x * DOLLAR) for n, x in enumerate(series)}
        known = {day: cost for day, cost in costs.items() if day < today}
        spent = sum(cost for day, cost in known.items() if day.month == 11)
        said = forecast(
            known, begun=begun, today=today, month_ends=ends, spent_nano=spent,
            day_done=Fraction(0),
        )  # fmt: skip
        end = spent + sum(cost for day, cost in costs.items() if today <= day < ends)
        assert said.low_nano is not None
        assert said.high_nano is not None
        assert said.weekly == (history >= 28)
        hits += said.low_nano <= end <= said.high_nano
    assert least <= hits / tries <= most


def test_a_forecast_needs_a_week_and_never_says_less_than_was_spent() -> None:
    today, ends = date(2026, 11, 7), date(2026, 12, 1)
    asked = {"today": today, "month_ends": ends, "spent_nano": 70, "day_done": Fraction(1, 2)}
    few = forecast(_days(6, 10, date(2026, 11, 1)), begun=date(2026, 11, 1), **asked)
    assert (few.expected_nano, few.days) == (None, 6)
    even = forecast(_days(7, 10, date(2026, 10, 31)), begun=date(2026, 10, 31), **asked)
    # 23 whole days and a half of this one; nothing ever differed.
    assert (even.expected_nano, even.low_nano, even.high_nano) == (70 + 235, 305, 305)
    quiet = forecast({}, begun=date(2026, 10, 1), **asked)
    assert (quiet.expected_nano, quiet.low_nano) == (70, 70)


def test_lines_of_a_customer_stand_along_time_and_the_top_are_the_dearest() -> None:
    costs = {("a", "10"): 5, ("b", "11"): 9, ("a", "11"): 1, ("b", "10"): 2, ("c", "10"): 7}
    lines = [Line(keys, Sums(cost_nano=cost)) for keys, cost in costs.items()]
    report = make_report(("customer", "month"), lines)
    shown = [line.keys for line in report.lines]
    assert shown == [("b", "10"), ("b", "11"), ("c", "10"), ("a", "10"), ("a", "11")]
    top = top_lines(report, 2)
    assert [(one.keys, one.sums.cost_nano) for one in top.lines] == [
        (("b", "11"), 9), (("c", "10"), 7), (("(3 others)", ""), 8),
    ]  # fmt: skip


def test_what_nobody_can_price_is_not_free() -> None:
    keys = [("known",), ("partly",), ("un\x1b[2Jknown",)]
    lines = [
        Line(key, Sums(calls=2, cost_nano=cost)) for key, cost in zip(keys, (9, 5, 0), strict=True)
    ]
    lacking = {keys[1]: Unpriced(1), keys[2]: Unpriced(2)}
    found = Imported({"x\x1b[2J": 6}, {"x\x1b[2J": 14}, 0, lacking)
    report = make_report(("model",), lines, imported=found)
    cells = {one.header: one.cells for one in report_columns(report)}
    assert list(cells["COST"]) == ["$0.000000009", "$0.000000005 + ?", "?", "$0.000000014 + ?"]
    assert cells["SHARE"][2] == "-"
    assert "\x1b" not in "".join(render_report(report))
    data = report_data(report)
    assert [row["unpriced_calls"] for row in data["rows"]] == [0, 1, 2]
    assert data["total"]["unpriced_calls"] == 3
    others = top_lines(report, 1)
    assert report_data(others)["rows"][-1]["unpriced_calls"] == 3
    single = make_report(
        ("model",), lines[:1], imported=Imported({"x": 2}, {"x": 9}, 1, {keys[0]: Unpriced(1)})
    )
    assert "1 imported call has no known price, and is in no amount" in " ".join(notes(single))
    assert "1 imported call is in the ledger, and was counted once." in notes(single)


def test_a_step_whose_cost_nobody_knows_is_not_free() -> None:
    """Goal: the tree says so of the step and of all above it, on the screen and as data."""
    lines = [Line((path,), Sums(calls=2)) for path in ("plan/search", "write")]
    found = Imported({"x": 4}, {"x": 0}, 0, {("plan/search",): Unpriced(1)})
    report = make_report(("step",), lines, imported=found)
    shown = [line.split() for line in render_steps(report)[1:5]]
    assert [(one[0], one[4], one[5]) for one in shown] == [
        ("plan", "$0.00", "?"), ("search", "?", "?"), ("write", "$0.00", "$0.00"),
        ("TOTAL", "?", "?"),
    ]  # fmt: skip
    rows = {row["key"]["step"]: row for row in steps_data(report)["rows"]}
    assert rows["plan"]["unpriced_calls"] == 0
    assert rows["plan"]["with_below"]["unpriced_calls"] == 1
    assert rows["plan/search"]["unpriced_calls"] == 1
    fitted = render_steps(report, width=50)
    assert max(map(len, fitted)) <= 50


def test_less_than_nothing_has_its_share() -> None:
    """Goal: a customer to whom a correction gave back is told with a minus, to six places."""
    lines = [Line((name,), Sums(cost_nano=cost)) for name, cost in (("a", 110), ("b", -10))]
    data = report_data(make_report(("customer",), lines))
    assert [row["share"] for row in data["rows"]] == ["1.100000", "-0.100000"]


def test_a_narrow_terminal_cuts_no_number_and_no_date() -> None:
    others = ("(2,078 others)", "")
    lines = [Line(keys, Sums(calls=1)) for keys in (others, ("2026-11-27 14:00", "m" * 60))]
    for by in (("customer", "model"), ("hour", "model")):
        shown = "\n".join(render_report(Report(by, tuple(lines), Sums()), width=30))
        assert others[0] in shown
        assert by[0] == "customer" or "2026-11-27 14:00" in shown
