"""What a reserve is answered: granted, refused, sent back for a better bound, or kept waiting.

Layer: daemon, pure over the book.  Below: book, admission, pricing, waiting, rows, replies.
Above: server.
Owns: the order of the questions (its run, its price, its budgets, who waits before it), and the
look at the queue.
Not here: the arithmetic (admission), what ends a call (ending), what is written (rows).
"""

from __future__ import annotations

from noburn_cli import protocol
from noburn_cli.errors import NoburnError
from noburn_daemon import frames
from noburn_daemon.account import Account
from noburn_daemon.accounts import Context
from noburn_daemon.admission import Quote, admit, can_never_fit, in_the_way
from noburn_daemon.book import Book
from noburn_daemon.calls import REFUSED, Call, charged, content_digest
from noburn_daemon.pricing import refusal_word
from noburn_daemon.replies import (
    Answer,
    Reply,
    barred,
    blocked,
    conflict,
    from_error,
    granted,
    refine,
    repeated,
)
from noburn_daemon.rows import barred_row, blocked_row, refused_row, reserve_row
from noburn_daemon.runs import PAUSED, RunState
from noburn_daemon.soft import asks_for_cheaper, beyond, noted, warnings
from noburn_daemon.waiting import Waiter

#: Text rarely has more bytes per token than this: what a better bound could come to.
_BYTES_PER_TOKEN_AT_BEST = 8


def reserve(
    book: Book, frame: frames.Reserve, *, owner: str, caller: object, now_ms: int,
    exact_tokens: int | None = None,
) -> Answer | None:  # fmt: skip
    """Grant, refuse, or (None) keep the caller waiting for an answer in `outbox`."""
    if now_ms >= book.accounts.next_ms:
        book.advance(now_ms)
    context = book.context(frame.attrs)
    digest = content_digest(frame, context)
    known = book.calls.get(frame.call)
    if known is not None:
        return repeated(frame, known, digest)
    frames.check_call_id(frame.call)
    if len(book.waiting):
        _look_at_earlier(book, frame, now_ms)
    waiter = book.waiting.get(frame.call)
    if waiter is not None:
        if waiter.digest != digest:
            return conflict(frame.n, frame.call)
        waiter.callers.append((caller, frame.n))
        return None
    waiter = Waiter(frame, context, owner, digest, now_ms, exact_tokens, [(caller, frame.n)])
    answer = _decide(book, waiter, now_ms, ahead=None)
    if answer is None:
        frame.texts = None  # neither stored nor kept
        book.waiting.add(waiter)
    elif isinstance(answer, dict):
        answer["n"] = frame.n
    return answer


def _decide(
    book: Book, waiter: Waiter, now_ms: int, *, ahead: set[Account] | None
) -> Answer | None:
    """Grant or refuse; None when the call is to wait (on), its `blocked_on` up to date.

    ahead: accounts that keep earlier waiters waiting; None for a call that has just come, to
        which all waiters are earlier.
    """
    frame, context = waiter.frame, waiter.context
    first = ahead is None or waiter.undecided
    bar = book.runs.bar(context.paths) if context.paths else None
    if bar is not None:
        waiter.undecided = first
        return _hold_up(book, waiter, *bar, now_ms)
    waiter.resume(now_ms)
    waiter.undecided = False
    try:
        quote = book.pricing.quote(frame, now_ms=now_ms, exact_tokens=waiter.exact_tokens)
    except NoburnError as error:
        word = refusal_word(error)
        row = refused_row(frame, context, word, now_ms, digest=waiter.digest, reason=error.message)
        book.turn_away(row, context, error.message)
        return from_error(None, word, error)
    book.accounts.look_up(context, now_ms)
    passed: list[Account] = []
    if context.soft:
        passed = beyond(quote.weights(quote.floor), charged(context.soft, notional=frame.notional))
        answer = _ask_for_cheaper(book, waiter, quote, passed, now_ms, first=first)
        if answer is not None:
            return answer
    accounts = charged(context.hard, notional=frame.notional)
    affordable = admit(quote, accounts)
    queue: list[Account] = []
    if ahead is None:
        if len(book.waiting):
            queue = [a for a in accounts if a.waiting]
    elif ahead:
        queue = [a for a in accounts if a in ahead]
    if affordable < 0 or queue:
        return _hold_back(book, waiter, quote, accounts, queue, now_ms, first=first)
    if affordable < quote.want and quote.refine_by and first:
        better = admit(_refined(frame, quote), accounts)
        if better == quote.want or better >= 2 * affordable:
            return refine(quote)
    return _grant(book, waiter, quote, affordable, now_ms, passed)


def _ask_for_cheaper(
    book: Book, waiter: Waiter, quote: Quote, passed: list[Account], now_ms: int, *, first: bool
) -> Answer | None:
    """A budget that downgrades wants another model, or a better bound before it says so."""
    frame = waiter.frame
    reply = asks_for_cheaper(book, frame, quote, passed, now_ms) if passed else None
    if reply is None:
        return None
    if first and quote.refine_by:
        better = _refined(frame, quote)
        if not beyond(better.weights(better.floor), passed):
            return refine(quote)
    if reply["error"] == protocol.BLOCKED:
        waiter.least = quote.weights(quote.floor)
        row = blocked_row(waiter, quote, reply, now_ms)
        book.turn_away(row, waiter.context, reply["message"])
    return reply


def _hold_back(
    book: Book, waiter: Waiter, quote: Quote, accounts: tuple[Account, ...], queue: list[Account],
    now_ms: int, *, first: bool,
) -> Answer | None:  # fmt: skip
    least = quote.weights(quote.floor)
    never = can_never_fit(least, accounts, waiter.deadline_ms)
    in_way = in_the_way(quote, accounts)
    if first and quote.refine_by and (never or in_way):
        better = _refined(waiter.frame, quote)
        if admit(better, accounts) >= 0 or (
            never and not can_never_fit(better.weights(better.floor), accounts, waiter.deadline_ms)
        ):
            return refine(quote)
    waiter.least = least
    in_way = in_way or queue
    if never is None and now_ms < waiter.deadline_ms:
        waiter.block_on(in_way)
        return None
    walls = in_way
    if never is not None:
        walls = [a for a in accounts if a.lacks_at(least[a.unit_index], waiter.deadline_ms)]
    # A rate limit is said only where nothing lasts longer: SDKs try again after it.
    wall = next((a for a in walls if not a.is_rate_limit), walls[0])
    reply = blocked(wall, least=least, spent=never is not None, now_ms=now_ms)
    book.turn_away(blocked_row(waiter, quote, reply, now_ms), waiter.context, reply["message"])
    _kill(book, waiter.context, [never] if never else in_way, reply, now_ms)
    return reply


def _hold_up(book: Book, waiter: Waiter, path: str, state: RunState, now_ms: int) -> Reply | None:
    """A run that the call is in lets none of its calls go: refuse it, or keep it waiting."""
    if not state.final and waiter.pause(now_ms) < protocol.PAUSE_MS_MAX:
        return None
    reply = barred(path, state)
    row = barred_row(waiter, state.final or PAUSED, reply, now_ms)
    book.turn_away(row, waiter.context, reply["message"])
    return reply


def _kill(book: Book, context: Context, accounts: list[Account], reply: Reply, now_ms: int) -> None:
    """A budget that kills has blocked a call: stop its run, or the one whose limit it is."""
    killer = next((a for a in accounts if a.budget.row.action == "kill"), None)
    if killer is None or not context.paths:
        return
    own = killer.budget.row.run
    path = own if own in context.paths else context.paths[-1]
    book.stop_run(str(path), reply["message"], by=f"budget `{killer.name}`", now_ms=now_ms)


def _grant(
    book: Book, waiter: Waiter, quote: Quote, granted_tokens: int, now_ms: int,
    passed: list[Account],
) -> frames.Granted:  # fmt: skip
    frame, context = waiter.frame, waiter.context
    more: dict[str, object] = {}
    said: list[str] = []
    if passed or frame.downgraded:
        more, said = noted(frame, passed), warnings(frame, passed)
        book.warn(context, frame.call, said)
    event = reserve_row(waiter, quote, granted_tokens, now_ms, more)
    book.events.append(event)
    call = book.open_call(event, context, charged(context.charged, notional=frame.notional))
    return granted(frame.n, call, said)


def _look_at_earlier(book: Book, frame: frames.Reserve, now_ms: int) -> None:
    """Serve those who wait before somebody who has just come, where that makes a difference.

    A new window has room, and nobody is seen to wait for it yet; and who cannot wait is to
    find what was released in this very turn.
    """
    if book.turned or (book.stirred and not frame.wait_ms):
        look_at_waiters(book, now_ms)


def look_at_waiters(book: Book, now_ms: int) -> None:
    """Answer everybody in the queue who can be answered now, or whose time is over, in order."""
    book.advance(now_ms)
    book.stirred = book.turned = False
    blocking: set[Account] = set()
    for waiter in book.waiting:
        context = waiter.context
        accounts = charged(context.hard, notional=waiter.frame.notional)
        bar = context.paths and book.runs.bar(context.paths)
        behind = not bar and not blocking.isdisjoint(accounts) and now_ms < waiter.deadline_ms
        if (
            behind
            and not waiter.undecided
            and can_never_fit(waiter.least, accounts, waiter.deadline_ms) is None
        ):
            # What has room by now keeps nobody behind it waiting.
            waiter.block_on(
                a for a in accounts if a in blocking or waiter.least[a.unit_index] > a.available
            )
            blocking.update(waiter.blocked_on)
            continue
        waiter.block_on(())
        answer = _decide(book, waiter, now_ms, ahead=blocking)
        if answer is None:
            blocking.update(waiter.blocked_on)
        else:
            book.answer(waiter, answer)


def refused(book: Book, frame: frames.Refused, now_ms: int) -> Answer:
    """Record a call that the guard refused by itself."""
    call = book.calls.get(frame.call)
    if call is not None and call.state != REFUSED:
        return conflict(frame.n, frame.call)
    if call is None:
        frames.check_call_id(frame.call)
        context = book.context(frame.attrs)
        row = refused_row(frame, context, frame.error, now_ms, digest=None, reason=frame.reason)
        book.turn_away(row, context, frame.reason)
        book.calls.add(Call(frame.call, REFUSED))
    return {"n": frame.n, "ok": True}


def _refined(frame: frames.Reserve, quote: Quote) -> Quote:
    """The quote as it could be if the input were counted."""
    size = frame.input
    tokens = size.overhead + size.tokens + size.bytes // _BYTES_PER_TOKEN_AT_BEST
    return quote.with_input(tokens)
