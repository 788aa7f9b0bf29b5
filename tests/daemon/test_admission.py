"""The arithmetic of one decision, against its own definition: any units, choices, rates, queues."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_daemon.account import UNITS, Account, Budget
from noburn_daemon.admission import Quote, admit, can_never_fit, in_the_way
from noburn_daemon.ledger import BudgetRow

AMOUNTS = st.integers(0, 3000) | st.integers(0, 10**18)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    unit = draw(st.sampled_from(UNITS))
    per = draw(st.sampled_from(["total", "total", "call"]))
    row = BudgetRow(1, "global", per, unit, draw(AMOUNTS), False, None)
    account = Account(Budget(row), (), 0, None)
    if account.is_ceiling:  # it adds up nothing
        return account
    account.settled, account.held = draw(AMOUNTS), draw(AMOUNTS)
    account.topup = draw(st.integers(-(10**6), 10**6))
    account.in_flight, account.waiting = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    return account


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    has_output = draw(st.booleans())
    want = draw(st.integers(0, 10**6)) if has_output else 0
    quote = Quote(
        input_tokens=draw(st.integers(0, 10**7)), how="bytes",
        input_pico=draw(st.sampled_from([0, 1, 37_500, 10**7])),
        output_pico=draw(st.sampled_from([0, 1, 999, 500_000, 75 * 10**6])),
        choices=draw(st.integers(1, 128)) if has_output else 0,
        want=want, floor=draw(st.integers(0, want)), own_max=want, asked=None, model="m",
        resolved="m", book="b", rates_note="{}", factor=1000, refine_by="",
    )  # fmt: skip
    quote.flat_pico = draw(st.sampled_from([0, 0, 10**7, 123_456]))
    quote.flat_tokens = draw(st.sampled_from([0, 0, 77]))
    quote.full = quote.weights(want)
    return quote


@settings(max_examples=400, deadline=None)
@given(quotes(), st.lists(accounts(), max_size=4))
def test_what_is_granted_fits_everywhere_and_what_fits_is_granted(
    quote: Quote, found: list[Account]
) -> None:
    granted = admit(quote, found)
    least = quote.weights(quote.floor)
    over = [a for a in found if a.available < 0 or least[a.unit_index] > a.available]
    assert over == in_the_way(quote, found)
    if granted < 0:
        assert over
        return
    assert not over
    assert can_never_fit(least, found, 0) is None
    assert quote.floor <= granted <= quote.want
    weights = quote.weights(granted)
    for account in found:
        assert account.settled + account.held + weights[account.unit_index] <= account.capacity
    if granted == quote.want:
        return
    shares = [
        (a.unit_index, a.available // (1 if a.is_ceiling else 1 + max(1, a.in_flight + a.waiting)))
        for a in found
    ]
    sized = [(i, share) for i, share in shares if quote.full[i] != least[i]]
    # Clamped: all that the smallest fair share affords, and not a token more; or the floor.
    more = quote.weights(granted + 1)
    assert any(more[i] > share for i, share in sized)
    if granted > quote.floor:
        assert all(weights[i] <= share for i, share in sized)
