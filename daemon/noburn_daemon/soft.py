"""Budgets that let calls go: which of them a call goes beyond, and what follows.

Layer: daemon, pure over the book.  Below: core.actions, admission (Quote), pricing, replies.
Above: reserving.
Owns: the cheaper model that a budget asks for, and why there may be none; the sentences of
warnings.
Not here: what is booked as overage (overages), how a request gets another model (the guard).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from noburn_cli.core.actions import BILL, DOWNGRADE, WARN, goes_beyond, rule_for
from noburn_cli.core.windows import CALL
from noburn_cli.errors import ModelUnknown, NoburnError
from noburn_daemon import frames
from noburn_daemon.account import Account, Weights
from noburn_daemon.admission import Quote
from noburn_daemon.book import Book
from noburn_daemon.replies import Reply, downgrade, no_cheaper, spent_words


def beyond(least: Weights, accounts: Iterable[Account]) -> list[Account]:
    """Those of the soft accounts that a call goes beyond which needs at least that."""
    return [a for a in accounts if _goes_beyond(least[a.unit_index], a)]


def _goes_beyond(least: int, account: Account) -> bool:
    settled, in_flight = account.settled, account.in_flight
    if account.budget.row.per == CALL:
        settled = in_flight = 0  # It looks at this one call.
    return goes_beyond(least, capacity=account.capacity, settled=settled, in_flight=in_flight)


def asks_for_cheaper(
    book: Book, frame: frames.Reserve, quote: Quote, passed: Iterable[Account], now_ms: int
) -> Reply | None:
    """The answer where a budget that downgrades has a rule for this call's model.

    None when the call goes on with its model: at the end of the rules.
    """
    for account in passed:
        rules = account.budget.row.downgrade
        if account.budget.row.action != DOWNGRADE or not rules:
            continue
        if len(frame.downgraded) >= frames.DOWNGRADES_MAX:
            return None
        target = rule_for(_names_of(book, frame.model, quote.resolved, rules), rules)
        if target is None:
            continue
        try:
            cheaper = _cheaper(book, frame, quote, target, now_ms)
        except NoburnError as error:
            return no_cheaper(account, quote, frame.model, target, why=error.message, now_ms=now_ms)
        if cheaper is None:
            continue
        if frame.fixed_model:
            return no_cheaper(
                account, quote, frame.model, target, why=frame.fixed_model, now_ms=now_ms
            )
        return downgrade(account, frame, target)
    return None


def _names_of(book: Book, asked: str, resolved: str, rules: Mapping[str, str]) -> list[str]:
    """What a model may be called in the rules: as it was asked for, its own name, its aliases."""
    return [asked, resolved, *(key for key in rules if _own_name(book, key) == resolved)]


def _own_name(book: Book, name: str) -> str | None:
    try:
        return book.pricing.book.resolve(name).name
    except ModelUnknown:
        return None


def _cheaper(
    book: Book, frame: frames.Reserve, quote: Quote, target: str, now_ms: int
) -> Quote | None:
    """What the call would be with another model; None where that is no way down.

    It is none when the call had that model before, or would not cost less by it.
    Raises ModelUnknown, PriceUnknown; NoburnError for another provider's model.
    """
    prices = book.pricing.book
    model = prices.resolve(target)
    had = {_own_name(book, step.model) for step in frame.downgraded}
    if model.name == quote.resolved or model.name in had:
        return None
    if frame.model and model.provider != prices.resolve(frame.model).provider:
        raise NoburnError(f"{target} is sold by {model.provider}, whom this call is not for")
    other = book.pricing.quote(msgspec.structs.replace(frame, model=target), now_ms=now_ms)
    return other if _pico(other, quote) < _pico(quote, quote) else None


def _pico(rates: Quote, size: Quote) -> int:
    """What a call of that size costs at the rates of a quote, in pico-dollars."""
    tokens = max(1, size.floor) * size.choices
    return size.input_tokens * rates.input_pico + tokens * rates.output_pico + rates.flat_pico


def warnings(frame: frames.Reserve, passed: Iterable[Account]) -> list[str]:
    """What a person should know of a call that goes, a sentence each.

    The same words for all calls of a window, so that they can be said once.
    """
    said = [
        f"{spent_words(account)}, and only warns"
        for account in passed
        if account.budget.row.action == WARN
    ]
    if frame.downgraded:
        first = frame.downgraded[0]
        said.append(
            f"calls for {first.model} go out for {frame.model}: budget `{first.budget}` is spent"
        )
    return said


def noted(frame: frames.Reserve, passed: Iterable[Account]) -> dict[str, object]:
    """What the row of a grant says of soft budgets: nothing, for nearly every call."""
    note: dict[str, object] = {}
    for action, word in ((WARN, "warned"), (BILL, "billed"), (DOWNGRADE, "passed")):
        names = [a.name for a in passed if a.budget.row.action == action]
        if names:
            note[word] = names
    if frame.downgraded:
        note["downgraded"] = [
            {"model": step.model, "budget": step.budget} for step in frame.downgraded
        ]
    return note
