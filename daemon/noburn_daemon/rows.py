"""Rows of the journal that tell how a reserve was decided.

Layer: daemon, pure.  Below: calls, waiting, admission (Quote), replies, ledger (Event).
Above: reserving.
Owns: what a `reserve`, `blocked` or `refused` row says, and the note of the rates and budgets.
Not here: rows that end a call (ending), or that tell of budgets and runs (policy, stopping).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from noburn_daemon import frames
from noburn_daemon.accounts import Context
from noburn_daemon.admission import Quote
from noburn_daemon.calls import charged
from noburn_daemon.ledger import Event, json_text
from noburn_daemon.replies import Reply
from noburn_daemon.waiting import Waiter


def reserve_row(
    waiter: Waiter, quote: Quote, granted: int, now_ms: int, more: Mapping[str, object]
) -> Event:
    """The row of a grant.  granted: output tokens per choice.  more: what else its note says."""
    frame, context = waiter.frame, waiter.context
    nano, tokens, _ = quote.full if granted == quote.want else quote.weights(granted)
    has_output = quote.choices > 0
    ceiling = quote.own_max if quote.asked is None else quote.asked
    event = Event(  # by position, which takes half the time
        0, now_ms, "reserve", frame.call, None, context.text, quote.model, waiter.owner,
        _note(context, quote, more, notional=frame.notional), quote.book, waiter.digest,
        nano, tokens, quote.input_tokens, quote.how,
        None if quote.factor == 1000 else quote.factor,
        ceiling if has_output else None,
        granted if has_output else None,
        1 if granted < ceiling else 0,
        1 if has_output and _writes_cap(quote, granted) else 0,
        now_ms - waiter.since_ms,
    )  # fmt: skip
    event.extra = quote.extra
    event.ceiling_nano = quote.ceiling_nano
    return event


def _writes_cap(quote: Quote, granted: int) -> bool:
    """Whether the request has to say its cap: it is neither its own, nor the model's."""
    return granted != (quote.own_max if quote.asked is None else quote.asked)


def blocked_row(waiter: Waiter, quote: Quote, reply: Reply, now_ms: int) -> Event:
    """The row of a call that a budget blocked."""
    return Event(
        0,
        now_ms,
        "blocked",
        call=waiter.frame.call,
        context=waiter.context.text,
        model=quote.model,
        book=quote.book,
        digest=waiter.digest,
        hold_nano=waiter.least[0],
        hold_tokens=waiter.least[1],
        input_bound=quote.input_tokens,
        bound=quote.how,
        wanted=quote.want if quote.choices else None,
        waited_ms=now_ms - waiter.since_ms,
        failure=reply["why_blocked"],
        detail=_blocked_detail(reply),
        extra=quote.extra,
        ceiling_nano=quote.ceiling_nano,
    )


def barred_row(waiter: Waiter, why: str, reply: Reply, now_ms: int) -> Event:
    """The row of a call whose run lets none go.  why: the word for the run's state."""
    frame = waiter.frame
    return Event(
        0, now_ms, "blocked", call=frame.call, context=waiter.context.text,
        model=json_text([frame.api, frame.model, None]), digest=waiter.digest,
        waited_ms=now_ms - waiter.since_ms, failure=why, detail=_blocked_detail(reply),
    )  # fmt: skip


def refused_row(
    frame: frames.Reserve | frames.Refused, context: Context, word: str, now_ms: int,
    *, digest: int | None, reason: str,
) -> Event:  # fmt: skip
    """The row of a call that the guard or the prices refused.  digest: None from the guard."""
    return Event(
        0, now_ms, "refused", call=frame.call, context=context.text,
        model=json_text([frame.api, frame.model, None]), digest=digest, failure=word,
        detail=json_text({"reason": reason}),
    )  # fmt: skip


def _blocked_detail(reply: Reply) -> str:
    return json_text({key: value for key, value in reply.items() if key not in ("ok", "error")})


def _note(context: Context, quote: Quote, more: Mapping[str, object], *, notional: bool) -> str:
    """Which rates and which budgets: the same for nearly every call of a context."""
    place = f"{int(notional)}{quote.rates_note}{json_text(more) if more else ''}"
    note = context.notes.get(place)
    if note is None:
        names = [account.name for account in charged(context.checked, notional=notional)]
        first = {"notional": True} if notional else {}
        note = json_text({**first, "rates": json.loads(quote.rates_note), "budgets": names, **more})
        context.notes[place] = note
    return note
