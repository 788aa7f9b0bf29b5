"""What ends a call: a bill, a loss, a release, the death of its process; and bills that come late.

Layer: daemon, pure over the book.  Below: book, calls, pricing, replies.  Above: server.
Owns: what each ending charges, and the factor that a bill above its bound raises.
Not here: which endings may follow which (core.holds), how balances change (book.close_call).
"""

from __future__ import annotations

from typing import Any

from noburn_cli import protocol
from noburn_cli.core.holds import HOLD_NEXT, HoldEvent, HoldState
from noburn_cli.core.money import AMOUNT_MAX, Nano, show_dollars
from noburn_cli.core.usage import billed_total, input_total
from noburn_cli.errors import CallUnbounded, NoburnError
from noburn_daemon import frames
from noburn_daemon.book import Book
from noburn_daemon.calls import TOMBSTONE, Call, counts
from noburn_daemon.ledger import Event
from noburn_daemon.notices import BOUND_DEFECT, ORPHANED
from noburn_daemon.pricing import refusal_word
from noburn_daemon.replies import (
    Answer,
    closed,
    conflict,
    from_error,
    has_ended,
    not_found,
    refusal,
)

_HELD = HoldState.HELD.value
_SETTLED = HoldState.SETTLED.value
_UNCERTAIN = HoldState.UNCERTAIN.value
_VOIDED = HoldState.VOIDED.value
#: The columns of a row that a reserve fills, from `run` to `waited_ms`.
_OF_A_RESERVE = (None,) * 17
_MAY_SETTLE = {old.value for old, event in HOLD_NEXT if event is HoldEvent.SETTLE}


def settle(book: Book, frame: frames.Settle, now_ms: int) -> Answer:
    """Price the provider's own usage with the stamped book; a late bill corrects."""
    call = _named(book, frame.call)
    given = frames.total(frame.results) if frame.results else frame.usage
    if call is None or call.state not in _MAY_SETTLE:
        return _settled_before(frame, call, given)
    if call.state != _HELD:
        # A budget that came after the call ended counts it as well: correct it there, too.
        call.accounts = book.accounts_at_end(call)
    went_in = given.input + given.cache_read + given.cache_write_5m + given.cache_write_1h
    came_out = given.output
    if given.extra:
        by_kind = given.by_kind()
        went_in = input_total(by_kind)
        came_out = billed_total(by_kind) - went_in
    event = _settle_row(call, frame, given, went_in + came_out, now_ms)
    try:
        if frame.results:
            # Each result of a batch is a call on the bill, with a tier of its own.
            event.cost_nano = sum([_cost(book, call, frame, one) for one in frame.results])
        else:
            event.cost_nano = _cost(book, call, frame, given)
        if event.cost_nano > AMOUNT_MAX:
            raise CallUnbounded(f"the bill of call {call.id} is more than any ledger holds")
    except NoburnError as error:
        return _unpriced(book, frame, call, event, error)
    _check_bound(book, call, went_in, now_ms)
    _end(book, call, event)
    return closed(frame.n, call)


def _settle_row(
    call: Call, frame: frames.Settle, given: frames.Usage, tokens: int, now_ms: int
) -> Event:
    """The row of a bill, its cost still missing; by position, which takes half the time."""
    event = Event(
        0, now_ms, "settle", call.id, *_OF_A_RESERVE, None, tokens, given.input, given.cache_read,
        given.cache_write_5m, given.cache_write_1h, given.output, given.reasoning, frame.variant,
        frame.latency_ms, frame.status, frame.failure, frame.provider_id, frame.served_model,
    )  # fmt: skip
    if given.extra:
        event.extra = frames.extra_text(given.extra)
    return event


def _cost(book: Book, call: Call, frame: frames.Settle, usage: frames.Usage) -> int:
    return book.pricing.cost(
        version=call.book, model=book.resolved(call.model), usage=usage,
        variant=frame.variant, at_ms=call.reserved_at_ms,
    )  # fmt: skip


def _named(book: Book, name: str) -> Call | None:
    """The call of that id, or the one that was lost under a provider's id."""
    call = book.calls.get(name)
    if call is None and name.startswith(protocol.BY_PROVIDER):
        lost = book.ledger.find_lost(name.removeprefix(protocol.BY_PROVIDER))
        call = None if lost is None else book.calls.get(lost)
    return call


def _settled_before(frame: frames.Settle, call: Call | None, given: frames.Usage) -> Answer:
    if call is None:
        frames.check_call_id(frame.call)
        return not_found(frame.n, frame.call)
    if call.state != _SETTLED:
        return has_ended(frame.n, call)
    if counts(given) != call.usage or frame.variant != call.variant:
        return conflict(frame.n, frame.call)
    return closed(frame.n, call)


def _unpriced(
    book: Book, frame: frames.Settle, call: Call, event: Event, error: NoburnError
) -> Answer:
    """A bill without a price, or beyond all sense, is charged at the hold; a late one may come."""
    if call.state == _UNCERTAIN:
        return closed(frame.n, call)  # as the first time
    if call.state != _HELD:
        return from_error(frame.n, refusal_word(error), error)
    event.kind = "lose"
    event.cost_nano, event.cost_tokens = call.hold[0], call.hold[1]
    event.failure = error.message
    _end(book, call, event)
    return closed(frame.n, call)


def lose(book: Book, frame: frames.Lose, now_ms: int) -> Answer:
    """The usage was not learnt: the hold stays charged in full."""
    call = book.calls.get(frame.call)
    if call is None:
        frames.check_call_id(frame.call)
        return not_found(frame.n, frame.call)
    if call.state == _UNCERTAIN:
        return closed(frame.n, call)
    if call.state != _HELD:
        return has_ended(frame.n, call)
    _charge_in_full(
        book, call, "lose", now_ms, frame.reason, frame.latency_ms, frame.status, frame.provider_id
    )
    return closed(frame.n, call)


def void(book: Book, frame: frames.Void, now_ms: int) -> Answer:
    """Release everything; of an unknown id leave a tombstone, of a waiting one cancel it."""
    call = book.calls.get(frame.call)
    if call is None:
        frames.check_call_id(frame.call)
        waiter = book.waiting.get(frame.call)
        if waiter is not None:
            book.dismiss(waiter, refusal(None, protocol.CLOSED, "the call was voided"))
        book.events.append(
            Event(0, now_ms, "tombstone", call=frame.call, failure=frame.reason or None)
        )
        book.calls.add(Call(frame.call, TOMBSTONE))
        return frames.Closed(frame.n, True, _VOIDED)
    if call.state in (_VOIDED, TOMBSTONE):
        return frames.Closed(frame.n, True, _VOIDED)
    if call.state != _HELD:
        return has_ended(frame.n, call)
    event = Event(
        0, now_ms, "void", call=call.id, failure=frame.reason or None,
        latency_ms=frame.latency_ms, status=frame.status,
    )  # fmt: skip
    _end(book, call, event)
    return frames.Closed(frame.n, True, _VOIDED)


def owner_gone(book: Book, owner: str, now_ms: int) -> int:
    """Charge every hold of a process that is gone in full, and drop its waiters; how many."""
    for waiter in book.waiting:
        if waiter.owner == owner:
            book.waiting.remove(waiter)
            book.stirred = True
    orphans = [call for call in book.calls.open.values() if call.owner == owner]
    for call in orphans:
        _charge_in_full(book, call, "orphan", now_ms, "the process that made it is gone")
    if orphans:
        nano = sum(call.hold[0] for call in orphans if not call.notional)
        _happened(
            book, ORPHANED,
            f"a process died with {len(orphans)} calls in flight: {show_dollars(nano)} charged "
            "at their holds",
            calls=len(orphans), held=Nano(nano).exact(), owner=owner,
        )  # fmt: skip
    return len(orphans)


def _charge_in_full(
    book: Book, call: Call, kind: str, now_ms: int, reason: str,
    latency_ms: int | None = None, status: int | None = None, provider_id: str | None = None,
) -> None:  # fmt: skip
    event = Event(
        0, now_ms, kind, call=call.id, cost_nano=call.hold[0], cost_tokens=call.hold[1],
        failure=reason or None, latency_ms=latency_ms, status=status, provider_id=provider_id,
    )  # fmt: skip
    _end(book, call, event)


def _happened(book: Book, kind: str, message: str, **data: Any) -> None:
    """Let the daemon's own channels hear of something, in the transaction of its rows."""
    book.happened.append((kind, {"message": message, **data}))


def _end(book: Book, call: Call, event: Event) -> None:
    book.events.append(event)
    book.close_call(call, event)


def _check_bound(book: Book, call: Call, actual: int, now_ms: int) -> None:
    """A bill above its bound is a defect of the bound: raise the model's factor at once."""
    if actual <= call.input_bound or call.under_ceiling:
        return  # Under a ceiling nothing was claimed about the input.
    model = book.resolved(call.model)
    needed = -(-call.factor * actual // max(1, call.input_bound))
    before = book.pricing.factors.get(model, 1000)
    factor = max(min(needed, 10**6), before)
    book.pricing.factors[model] = book.changed.factors[model] = factor
    book.events.append(
        Event(
            0,
            now_ms,
            "bound_defect",
            call=call.id,
            model=call.model,
            bound=call.bound,
            input_bound=call.input_bound,
            input=actual,
            factor=factor,
        )
    )
    if factor > before:
        _happened(
            book, BOUND_DEFECT,
            f"a bill of {model} had {actual} tokens of input, its bound was {call.input_bound}; "
            f"bounds are ×{factor / 1000} from now on",
            model=model, call=call.id, input=actual, input_bound=call.input_bound,
            factor=factor / 1000,
        )  # fmt: skip
