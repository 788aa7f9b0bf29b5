"""Amounts: what people type, what rounding does, what the eye gets."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.core.money import (
    AMOUNT_MAX,
    DOLLARS,
    REQUESTS,
    TOKENS,
    Limit,
    Nano,
    nano_from_decimal,
    nano_from_pico_half_even,
    nano_from_pico_up,
    parse_count,
    parse_dollars,
    parse_limit,
    parse_share,
    show_dollars,
    show_percent,
)
from noburn_cli.errors import UsageError

amounts = st.integers(min_value=-AMOUNT_MAX, max_value=AMOUNT_MAX)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("500k", 500_000),
        ("500K", 500_000),
        ("2M", 2_000_000),
        ("1.5B", 1_500_000_000),
        (".5k", 500),
        ("2,000,000", 2_000_000),
        ("1_000", 1_000),
        (" 7 ", 7),
    ],
)
def test_counts_are_read_as_people_write_them(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1.5", "2Mtok", "$2", "1e6", "1,5M", "1 000", "٣", "0x10", "nan", "k", "9" * 31],
)
def test_what_is_no_whole_count_is_refused(text):
    with pytest.raises(UsageError):
        parse_count(text)


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("20", 20 * 10**9),
        ("$20", 20 * 10**9),
        ("20usd", 20 * 10**9),
        ("20 USD", 20 * 10**9),
        ("0.50", 5 * 10**8),
        (".5", 5 * 10**8),
        ("$1.5k", 1_500 * 10**9),
        ("1.5kusd", 1_500 * 10**9),
        ("1,234.56", 1_234_560_000_000),
        ("0.000000001", 1),
        ("0", 0),
    ],
)
def test_dollars_are_read_as_people_write_them(text, nano):
    assert parse_dollars(text) == nano


@pytest.mark.parametrize("text", ["", "$", "-5", "5eur", "2Mtok", "usd", "1e3", "0.0000000001"])
def test_what_is_no_dollar_amount_is_refused(text):
    with pytest.raises(UsageError):
        parse_dollars(text)


def test_a_suffix_without_a_unit_is_refused_with_both_ways_to_say_it():
    with pytest.raises(UsageError) as refused:
        parse_limit("2M")
    assert "'$2M'" in refused.value.next_step
    assert "2Mtok" in refused.value.next_step


def test_where_only_dollars_are_possible_no_tokens_are_proposed():
    with pytest.raises(UsageError, match="ambiguous") as refused:
        parse_dollars("2M")
    assert refused.value.next_step == "write '$2M' or 2Musd for dollars"


@pytest.mark.parametrize(
    ("text", "unit", "count"),
    [
        ("2Mtok", TOKENS, 2_000_000),
        ("1.5B tokens", TOKENS, 1_500_000_000),
        ("100req", REQUESTS, 100),
        ("100", REQUESTS, 100),
    ],
)
def test_a_count_may_say_its_unit(text, unit, count):
    assert parse_count(text, unit=unit) == count


@pytest.mark.parametrize(("text", "unit"), [("2Mtok", REQUESTS), ("2Mtok", ""), ("5usd", TOKENS)])
def test_a_count_with_another_unit_is_refused(text, unit):
    with pytest.raises(UsageError):
        parse_count(text, unit=unit)


def test_an_amount_that_no_ledger_row_holds_is_refused():
    assert parse_count(str(AMOUNT_MAX)) == AMOUNT_MAX
    with pytest.raises(UsageError):
        parse_count(str(AMOUNT_MAX + 1))
    with pytest.raises(UsageError):
        parse_dollars("$10B")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("5", Limit(DOLLARS, 5 * 10**9)),
        ("$5", Limit(DOLLARS, 5 * 10**9)),
        ("5usd", Limit(DOLLARS, 5 * 10**9)),
        ("2Mtok", Limit(TOKENS, 2_000_000)),
        ("2M tokens", Limit(TOKENS, 2_000_000)),
        ("100req", Limit(REQUESTS, 100)),
        ("1k requests", Limit(REQUESTS, 1_000)),
    ],
)
def test_limits_are_read_in_their_unit(text, limit):
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["2M", "tok", "1.5req", "$5tok", "5 apples", ""])
def test_ambiguous_limits_are_refused(text):
    with pytest.raises(UsageError):
        parse_limit(text)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("25%", Fraction(1, 4)),
        ("2.9 %", Fraction(29, 1000)),
        ("0.25", Fraction(1, 4)),
        ("0", Fraction(0)),
        ("100%", Fraction(1)),
        ("1%", Fraction(1, 100)),
    ],
)
def test_shares_are_read_exactly(text, share):
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["1", "25", "101%", "-1%", "%", "", "2k", "2k%"])
def test_what_is_no_clear_share_is_refused(text):
    with pytest.raises(UsageError):
        parse_share(text)


@pytest.mark.parametrize("read", [parse_count, parse_dollars, parse_limit, parse_share])
@given(text=st.text(max_size=40) | st.from_regex(r"\$?[0-9.,_]{0,9}[kMB]?(usd|tok|req|%)?"))
def test_any_text_is_read_or_refused_and_nothing_else(read, text):
    try:
        read(text)
    except UsageError as refused:
        said = refused.message
        assert said


@given(amounts)
def test_an_exact_string_is_the_amount(nano):
    """Goal: what --json prints loses nothing."""
    assert Fraction(Nano(nano).exact()) * 10**9 == nano


@given(st.integers(min_value=0, max_value=AMOUNT_MAX))
def test_an_exact_string_is_read_back(nano):
    assert parse_dollars(Nano(nano).exact()) == nano


@given(amounts)
def test_what_is_shown_is_near_and_never_zero_for_something(nano):
    shown = show_dollars(nano)
    value = Fraction(shown.replace("$", "").replace(",", "")) * 10**9
    assert (value == 0) == (nano == 0)
    if abs(nano) >= 100 * 10**9:
        allowed = Fraction(10**7, 2)  # Half a cent.
    elif abs(nano) >= 10**7:
        allowed = Fraction(10**5, 2)  # Half of the fourth decimal.
    else:
        allowed = Fraction(abs(nano), 1000)  # Four significant digits.
    assert abs(value - nano) <= allowed


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (0, "$0.00"),
        (20 * 10**9, "$20.00"),
        (880_000_000, "$0.88"),
        (-37_040_000_000, "-$37.04"),
        (123_456_789, "$0.1235"),
        (37_500, "$0.0000375"),
        (1, "$0.000000001"),
        (1_234_567_891_000_000, "$1,234,567.89"),
        (99_995_000, "$0.1000"),
    ],
)
def test_dollars_for_the_eye(nano, shown):
    assert show_dollars(nano) == shown


@given(amounts)
def test_a_hold_rounds_up_and_a_settlement_to_the_nearest(pico):
    exact = Fraction(pico, 1000)
    up, nearest = nano_from_pico_up(pico), nano_from_pico_half_even(pico)
    assert 0 <= up - exact < 1
    assert nearest == round(exact)  # Fractions round half to even.


@pytest.mark.parametrize(("pico", "nano"), [(500, 0), (1500, 2), (2500, 2), (501, 1), (-500, 0)])
def test_halves_go_to_the_even_side(pico, nano):
    assert nano_from_pico_half_even(pico) == nano


def test_a_programs_decimal_context_does_not_reach_our_amounts():
    """Goal: a guest in a program that computes with three digits still counts every nano-dollar."""
    with decimal.localcontext() as context:
        context.prec = 3
        context.traps[decimal.Inexact] = True
        context.traps[decimal.FloatOperation] = True
        assert parse_dollars("1234.567890123") == 1_234_567_890_123
        assert nano_from_decimal(Decimal("1234.5678901235")) == 1_234_567_890_124
        assert nano_from_decimal(Decimal("1234.5678901231"), up=True) == 1_234_567_890_124
        assert show_dollars(1_234_567_890_123) == "$1,234.57"


@pytest.mark.parametrize("value", [1.0, True, "1", None])
def test_an_amount_is_a_whole_number_and_nothing_else(value):
    with pytest.raises(TypeError):
        Nano(value)


@given(amounts, amounts, st.integers(min_value=-1000, max_value=1000))
def test_amounts_add_as_whole_numbers_do(a, b, times):
    assert Nano(a) + Nano(b) - Nano(b) == Nano(a)
    assert Nano(a) * times == Nano(a * times)
    assert (Nano(a) < Nano(b)) == (a < b)
    assert -Nano(a) == Nano(-a)


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (Fraction(3, 4), "75 %"),
        (Fraction(1, 3), "33.3 %"),
        (Fraction(6996, 10000), "69.96 %"),
        (Fraction(-617333, 1000000), "-61.7 %"),
        (Fraction(-4, 100000), "-0.004 %"),
        (Fraction(0), "0 %"),
        (Fraction(15), "1,500 %"),
    ],
)
def test_per_cent_for_the_eye(share, shown):
    assert show_percent(share) == shown


@given(st.fractions(min_value=-2, max_value=2, max_denominator=10**6))
def test_only_a_whole_per_cent_reads_as_one(share):
    """Goal: 69.96 % is never shown as the 70 % that it isn't."""
    number = Fraction(show_percent(share).removesuffix(" %"))
    assert (number.denominator == 1) == ((share * 100).denominator == 1)
    assert abs(number - share * 100) <= Fraction(1, 20)
