"""May this call go, and with which output cap?  The arithmetic of one decision.

Layer: daemon, pure.  Below: accounts.  Above: reserving.
Owns: the clamp, the fair share, which accounts stand in the way and for how long.
Not here: who waits (waiting), what is recorded (rows).

At every admission, for every account: settled + held + new <= limit.
"""

from __future__ import annotations

from collections.abc import Iterable

from noburn_daemon.account import DOLLARS_INDEX, Account, Weights

_PICO_PER_NANO = 1000


class Quote:
    """What a call may use and what that costs at most.

    input_tokens, how: the bound of its input and how it was reached.
    input_pico, output_pico: the dearest rates that may apply, in pico-dollars per token.
    want, floor: output tokens per choice, the most and the least worth granting; both 0 and
    choices 0
        for a call without output.
        Where nothing less than `want` may be granted, they are equal.
    own_max: the model's own cap, which holds when the request names none; asked: the request's.
    model: [api, name as asked, name resolved] as JSON, as the journal names models.
    rates_note: where the rates come from, as JSON.
    refine_by: how a better bound can be had (`text`, `count`), or "".
    flat_pico, flat_tokens: what fees and further kinds of tokens weigh, whatever the output.
    extra: the units of those, as the journal writes them.
    ceiling_nano: set aside for what nothing bounds, part of flat_pico; None without.
    full: what it weighs with all of `want`.
    """

    __slots__ = (
        "asked", "book", "ceiling_nano", "choices", "extra", "factor", "flat_pico", "flat_tokens",
        "floor", "full", "how", "input_pico", "input_tokens", "model", "output_pico", "own_max",
        "rates_note", "refine_by", "resolved", "want",
    )  # fmt: skip

    def __init__(
        self, input_tokens: int, how: str, input_pico: int, output_pico: int, choices: int,
        want: int, floor: int, own_max: int, asked: int | None, model: str, resolved: str,
        book: str, rates_note: str, factor: int, refine_by: str,
    ) -> None:  # fmt: skip
        self.input_tokens = input_tokens
        self.how = how
        self.input_pico = input_pico
        self.output_pico = output_pico
        self.choices = choices
        self.want = want
        self.floor = floor
        self.own_max = own_max
        self.asked = asked
        self.model = model
        self.resolved = resolved
        self.book = book
        self.rates_note = rates_note
        self.factor = factor
        self.refine_by = refine_by
        self.flat_pico = 0
        self.flat_tokens = 0
        self.extra: str | None = None
        self.ceiling_nano: int | None = None
        self.full = self.weights(want)

    def with_input(self, tokens: int) -> Quote:
        """The same with at most so many input tokens."""
        other = Quote(
            min(tokens, self.input_tokens), self.how, self.input_pico, self.output_pico,
            self.choices, self.want, self.floor, self.own_max, self.asked, self.model,
            self.resolved, self.book, self.rates_note, self.factor, self.refine_by,
        )  # fmt: skip
        other.flat_pico, other.flat_tokens = self.flat_pico, self.flat_tokens
        other.extra, other.ceiling_nano = self.extra, self.ceiling_nano
        other.full = other.weights(other.want)
        return other

    def weights(self, output: int) -> Weights:
        """What the call weighs with `output` tokens per choice; money rounded up."""
        tokens = output * self.choices
        pico = self.input_tokens * self.input_pico + tokens * self.output_pico + self.flat_pico
        return -(-pico // _PICO_PER_NANO), self.input_tokens + tokens + self.flat_tokens, 1

    def affordable(self, amount: int, unit_index: int) -> int:
        """The most output per choice that `amount` of a unit pays for; negative for none at all.

        Only for a unit in which output weighs something.
        """
        if unit_index == DOLLARS_INDEX:
            left = amount * _PICO_PER_NANO - self.input_tokens * self.input_pico - self.flat_pico
            return left // (self.choices * self.output_pico)
        return (amount - self.input_tokens - self.flat_tokens) // self.choices


def admit(quote: Quote, accounts: Iterable[Account]) -> int:
    """The output per choice to grant; -1 when an account does not afford even the floor.

    A clampable call gets at most a fair share of what an account has left, so that the first
    does not take everything, yet never less than its floor where that fits.  A ceiling on one call
    is shared with nobody.
    """
    granted = quote.want
    full = quote.full
    least: Weights | None = None
    for account in accounts:
        index = account.unit_index
        available = account.capacity - account.settled - account.held
        sharers = account.in_flight + account.waiting + 1
        if full[index] * (sharers if sharers > 2 else 2) <= available:
            continue  # never when the account is over: it has less than 0 left
        if least is None:
            least = quote.weights(quote.floor)
        if available < 0 or least[index] > available:
            return -1
        if full[index] != least[index]:
            share = available if account.is_ceiling else available // max(2, sharers)
            granted = min(granted, max(quote.floor, quote.affordable(share, index)))
    return granted


def in_the_way(quote: Quote, accounts: Iterable[Account]) -> list[Account]:
    """The accounts that do not afford the floor."""
    least = quote.weights(quote.floor)
    return [a for a in accounts if a.available < 0 or least[a.unit_index] > a.available]


def can_never_fit(least: Weights, accounts: Iterable[Account], until_ms: int) -> Account | None:
    """An account that will not afford the call even if everything in flight comes to nothing.

    until_ms: how long the call waits; what leaves a rolling window by then counts as gone.
    """
    for account in accounts:
        if account.lacks_at(least[account.unit_index], until_ms):
            return account
    return None
