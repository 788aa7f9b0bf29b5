"""Decisions about calls: the rules of the ledger, in memory.

Layer: daemon, pure (given now_ms; what is on disk comes through the Ledger interface).
Below: accounts, admission, calls, pricing, waiting, replies, ledger.  Above: policy, server.
Owns: what each request does to a call's money.  Every change is an Event in `events`, which the
server makes durable before anybody hears of it.
Not here: budgets and runs being set (policy), restoring from disk (restore), sockets (server).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from noburn_cli import protocol
from noburn_cli.core.bounds import ASSUMED
from noburn_cli.core.budgets import check_attributes
from noburn_cli.core.holds import HOLD_NEXT, HoldEvent, HoldState
from noburn_cli.core.usage import billed_total, input_total
from noburn_cli.errors import NoburnError, UsageError
from noburn_daemon import frames
from noburn_daemon.accounts import Account, Accounts, Context
from noburn_daemon.admission import Quote, admit, can_never_fit, in_the_way
from noburn_daemon.calls import (
    REFUSED,
    TOMBSTONE,
    Call,
    CallMemory,
    charged,
    close,
    counts,
    opened,
)
from noburn_daemon.ledger import Event, Ledger, Snapshot
from noburn_daemon.pricing import Pricing, refusal_word
from noburn_daemon.replies import Reply, barred, blocked, from_error, refusal
from noburn_daemon.runs import PAUSED, Runs, RunState
from noburn_daemon.waiting import Waiter, WaitingRoom

_CONTEXTS_MAX = 20_000
#: Every window begins and ends on the hour.
HOUR_MS = 3_600_000
#: Text rarely has more bytes per token than this: what a better bound could come to.
_BYTES_PER_TOKEN_AT_BEST = 8
_HELD = HoldState.HELD.value
_SETTLED = HoldState.SETTLED.value
_UNCERTAIN = HoldState.UNCERTAIN.value
_VOIDED = HoldState.VOIDED.value
_MAY_SETTLE = {old.value for old, event in HOLD_NEXT if event is HoldEvent.SETTLE}

Answer = Any  # a struct of frames, or a Reply


class Book:
    """All balances, holds and waiters, and the one place where they change."""

    def __init__(self, pricing: Pricing, ledger: Ledger, greatest: dict[str, str]) -> None:
        self.pricing = pricing
        self.ledger = ledger
        self.accounts = Accounts()
        self.calls = CallMemory(ledger.find, self.call_from_rows, greatest)
        self.waiting = WaitingRoom()
        self.events: list[Event] = []
        #: Answers to callers who waited: (caller, reply).
        self.outbox: list[tuple[object, Answer]] = []
        #: (run path of a blocked call, its id, message), for those who watch the run.
        self.blocks: list[tuple[list[str], str, str]] = []
        self.runs = Runs(ledger.run_rows, ledger.run_totals)
        #: Runs that were stopped: (path, message), for those who watch them.
        self.stops: list[tuple[str, str]] = []
        self.changed = Snapshot()
        self.budget_ids: set[int] = set()
        #: Whether something was released since waiters were last looked at.
        self.stirred = False
        self._looked_at_hour = 0
        self._contexts: dict[bytes, Context] = {}
        self._resolved: dict[str, str] = {}

    # Reserve.

    def reserve(
        self, frame: frames.Reserve, *, owner: str, caller: object, now_ms: int,
        exact_tokens: int | None = None,
    ) -> Answer | None:  # fmt: skip
        """Grant, refuse, or (None) keep the caller waiting for an answer in `outbox`."""
        context = self.context(frame.attrs)
        digest = content_digest(frame, context)
        known = self.calls.get(frame.call)
        if known is not None:
            return _repeated(frame, known, digest)
        frames.check_call_id(frame.call)
        if len(self.waiting):
            self._look_at_earlier(frame, now_ms)
        waiter = self.waiting.get(frame.call)
        if waiter is not None:
            if waiter.digest != digest:
                return _conflict(frame.n, frame.call)
            waiter.callers.append((caller, frame.n))
            return None
        waiter = Waiter(frame, context, owner, digest, now_ms, exact_tokens, [(caller, frame.n)])
        answer = self._decide(waiter, now_ms, ahead=None)
        if answer is None:
            frame.texts = None  # neither stored nor kept
            self.waiting.add(waiter)
        elif isinstance(answer, dict):
            answer["n"] = frame.n
        return answer

    def _decide(self, waiter: Waiter, now_ms: int, *, ahead: set[Account] | None) -> Answer | None:
        """Grant or refuse; None when the call is to wait (on), its `blocked_on` up to date.

        ahead: accounts that keep earlier waiters waiting; None for a call that has just come, to
            which all waiters are earlier.
        """
        frame, context = waiter.frame, waiter.context
        first = ahead is None or waiter.undecided
        bar = self.runs.bar(context.paths) if context.paths else None
        if bar is not None:
            waiter.undecided = first
            return self._hold_up(waiter, *bar, now_ms)
        waiter.resume(now_ms)
        waiter.undecided = False
        try:
            quote = self.pricing.quote(frame, now_ms=now_ms, exact_tokens=waiter.exact_tokens)
        except NoburnError as error:
            word = refusal_word(error)
            self._refuse(frame, context, word, now_ms, digest=waiter.digest, reason=error.message)
            return from_error(None, word, error)
        self.accounts.look_up(context, now_ms)
        accounts = charged(context.checked, notional=frame.notional)
        granted = admit(quote, accounts)
        queue: list[Account] = []
        if ahead is None:
            if len(self.waiting):
                queue = [a for a in accounts if a.waiting]
        elif ahead:
            queue = [a for a in accounts if a in ahead]
        if granted < 0 or queue:
            return self._hold_back(waiter, quote, accounts, queue, now_ms, first=first)
        if granted < quote.want and quote.refine_by and first:
            better = admit(_refined(frame, quote), accounts)
            if better == quote.want or better >= 2 * granted:
                return _refine(quote)
        return self._grant(waiter, quote, granted, now_ms)

    def _hold_back(
        self, waiter: Waiter, quote: Quote, accounts: tuple[Account, ...], queue: list[Account],
        now_ms: int, *, first: bool,
    ) -> Answer | None:  # fmt: skip
        least = quote.weights(quote.floor)
        never = can_never_fit(least, accounts)
        in_way = in_the_way(quote, accounts)
        if first and quote.refine_by and (never or in_way):
            better = _refined(waiter.frame, quote)
            if admit(better, accounts) >= 0 or (
                never and not can_never_fit(better.weights(better.floor), accounts)
            ):
                return _refine(quote)
        waiter.least = least
        in_way = in_way or queue
        if never is None and now_ms < waiter.deadline_ms:
            waiter.block_on(in_way)
            return None
        reply = self._block(
            waiter, quote, never or in_way[0], spent=never is not None, now_ms=now_ms
        )
        self._kill(waiter.context, [never] if never else in_way, reply, now_ms)
        return reply

    def _hold_up(self, waiter: Waiter, path: str, state: RunState, now_ms: int) -> Reply | None:
        """A run that the call is in lets none of its calls go: refuse it, or keep it waiting."""
        if not state.final and waiter.pause(now_ms) < protocol.PAUSE_MS_MAX:
            return None
        reply = barred(path, state)
        frame, context = waiter.frame, waiter.context
        self._turn_away(
            Event(
                0, now_ms, "blocked", call=frame.call, context=context.text,
                model=_json([frame.api, frame.model, None]), digest=waiter.digest,
                waited_ms=now_ms - waiter.since_ms, failure=state.final or PAUSED,
                detail=_blocked_detail(reply),
            ),
            context, reply["message"],
        )  # fmt: skip
        return reply

    def _kill(self, context: Context, accounts: list[Account], reply: Reply, now_ms: int) -> None:
        """A budget that kills has blocked a call: stop its run, or the one whose limit it is."""
        killer = next((a for a in accounts if a.budget.row.action == "kill"), None)
        if killer is None or not context.paths:
            return
        own = killer.budget.row.run
        path = own if own in context.paths else context.paths[-1]
        self.stop_run(str(path), reply["message"], by=f"budget `{killer.name}`", now_ms=now_ms)

    def stop_run(self, path: str, message: str, *, by: str, now_ms: int) -> bool:
        """Let no call of a run go any more, nor of what is below it; whether that is new.

        Who waits for one is refused when waiters are looked at next.
        """
        state = self.runs.state(path)
        if state.final:
            return False
        detail = _json({"message": message, "by": by})
        event = Event(0, now_ms, "run_stop", run=path, detail=detail)
        self.events.append(event)
        state.apply(event)
        self.stops.append((path, message))
        self.stirred = True
        return True

    def _grant(self, waiter: Waiter, quote: Quote, granted: int, now_ms: int) -> frames.Granted:
        frame, context = waiter.frame, waiter.context
        nano, tokens, _ = quote.full if granted == quote.want else quote.weights(granted)
        has_output = quote.choices > 0
        ceiling = quote.own_max if quote.asked is None else quote.asked
        event = Event(
            0,
            now_ms,
            "reserve",
            call=frame.call,
            context=context.text,
            model=quote.model,
            owner=waiter.owner,
            note=_note(context, quote, notional=frame.notional),
            book=quote.book,
            digest=waiter.digest,
            hold_nano=nano,
            hold_tokens=tokens,
            input_bound=quote.input_tokens,
            bound=quote.how,
            factor=None if quote.factor == 1000 else quote.factor,
            wanted=ceiling if has_output else None,
            granted=granted if has_output else None,
            clamped=1 if granted < ceiling else 0,
            write_cap=1 if has_output and granted < quote.own_max and granted != quote.asked else 0,
            waited_ms=now_ms - waiter.since_ms,
            extra=quote.extra,
            ceiling_nano=quote.ceiling_nano,
        )
        self.events.append(event)
        call = self.open_call(event, context, charged(context.charged, notional=frame.notional))
        return _granted(frame.n, call)

    def open_call(self, event: Event, context: Context, accounts: tuple[Account, ...]) -> Call:
        """Apply a `reserve` row, live or replayed."""
        call = opened(event, context, accounts)
        hold = call.hold
        for account in accounts:
            account.held += hold[account.unit_index]
            account.in_flight += 1
        self.runs.opened(call, context.paths)
        self.calls.add(call)
        return call

    def _block(
        self, waiter: Waiter, quote: Quote, account: Account, *, spent: bool, now_ms: int
    ) -> Reply:
        reply = blocked(account, least=waiter.least, spent=spent)
        frame, context = waiter.frame, waiter.context
        self._turn_away(
            Event(
                0,
                now_ms,
                "blocked",
                call=frame.call,
                context=context.text,
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
            ),
            context,
            reply["message"],
        )
        return reply

    def _turn_away(self, event: Event, context: Context, message: str) -> None:
        """Record a call that did not go, and tell those who watch its run."""
        self.events.append(event)
        if context.runs:
            self.runs.turned_away(event.kind, context.paths)
            self.blocks.append((context.runs, str(event.call), message))

    # Waiters.

    def _look_at_earlier(self, frame: frames.Reserve, now_ms: int) -> None:
        """Serve those who wait before somebody who has just come, where that makes a difference.

        A new window has room, and nobody is seen to wait for it yet; and who cannot wait is to
        find what was released in this very turn.
        """
        if now_ms // HOUR_MS != self._looked_at_hour or (self.stirred and not frame.wait_ms):
            self.look_at_waiters(now_ms)

    def look_at_waiters(self, now_ms: int) -> None:
        """Answer everybody in the queue who can be answered now, or whose time is over, in
        order."""
        self.stirred = False
        self._looked_at_hour = now_ms // HOUR_MS
        blocking: set[Account] = set()
        for waiter in self.waiting:
            context = waiter.context
            accounts = charged(context.checked, notional=waiter.frame.notional)
            barred = context.paths and self.runs.bar(context.paths)
            behind = (
                not barred and not blocking.isdisjoint(accounts) and now_ms < waiter.deadline_ms
            )
            if behind and not waiter.undecided and can_never_fit(waiter.least, accounts) is None:
                blocking.update(waiter.blocked_on)
                continue
            waiter.block_on(())
            answer = self._decide(waiter, now_ms, ahead=blocking)
            if answer is None:
                blocking.update(waiter.blocked_on)
            else:
                self._answer(waiter, answer)

    def dismiss(self, waiter: Waiter, reply: Reply) -> None:
        """Answer a waiter with something that is not a decision, and forget it."""
        self._answer(waiter, reply)
        self.stirred = True

    def _answer(self, waiter: Waiter, answer: Answer) -> None:
        self.waiting.remove(waiter)
        for caller, n in waiter.callers:
            if isinstance(answer, dict):
                self.outbox.append((caller, {**answer, "n": n}))
            else:
                self.outbox.append((caller, msgspec.structs.replace(answer, n=n)))

    # What ends a call.

    def settle(self, frame: frames.Settle, now_ms: int) -> Answer:
        """Price the provider's own usage with the stamped book; a late bill corrects."""
        call = self._named(frame.call)
        given = frames.total(frame.results) if frame.results else frame.usage
        if call is None or call.state not in _MAY_SETTLE:
            return self._settled_before(frame, call, given)
        if call.state != _HELD:
            self._find_accounts(call)
        went_in = given.input + given.cache_read + given.cache_write_5m + given.cache_write_1h
        came_out = given.output
        if given.extra:
            by_kind = given.by_kind()
            went_in = input_total(by_kind)
            came_out = billed_total(by_kind) - went_in
        event = Event(
            0, now_ms, "settle", call=call.id, variant=frame.variant, latency_ms=frame.latency_ms,
            status=frame.status, failure=frame.failure, provider_id=frame.provider_id,
            served_model=frame.served_model, cost_tokens=went_in + came_out,
            input=given.input, cache_read=given.cache_read, cache_write_5m=given.cache_write_5m,
            cache_write_1h=given.cache_write_1h, output=given.output, reasoning=given.reasoning,
            extra=frames.extra_text(given.extra),
        )  # fmt: skip
        try:
            # Each result of a batch is a call on the bill, with a tier of its own.
            event.cost_nano = sum(
                self.pricing.cost(
                    version=call.book, model=self.resolved(call.model), usage=one,
                    variant=frame.variant, at_ms=call.reserved_at_ms,
                )
                for one in frame.results or (given,)
            )  # fmt: skip
        except NoburnError as error:
            return self._unpriced(frame, call, event, error)
        self._check_bound(call, went_in, now_ms)
        self._end(call, event)
        return _closed(frame.n, call)

    def _named(self, name: str) -> Call | None:
        """The call of that id, or the one that was lost under a provider's id."""
        call = self.calls.get(name)
        if call is None and name.startswith(protocol.BY_PROVIDER):
            lost = self.ledger.find_lost(name.removeprefix(protocol.BY_PROVIDER))
            call = None if lost is None else self.calls.get(lost)
        return call

    def _find_accounts(self, call: Call) -> None:
        """A budget that came after the call ended counts it as well: correct it there, too."""
        assert call.context is not None  # a call that may settle was admitted with its attributes
        at = self.accounts.at(call.context.attributes, call.reserved_at_ms, make=False)
        call.accounts = charged(at, notional=call.notional)

    def _settled_before(
        self, frame: frames.Settle, call: Call | None, given: frames.Usage
    ) -> Answer:
        if call is None:
            frames.check_call_id(frame.call)
            return _not_found(frame.n, frame.call)
        if call.state != _SETTLED:
            return _has_ended(frame.n, call)
        if counts(given) != call.usage or frame.variant != call.variant:
            return _conflict(frame.n, frame.call)
        return _closed(frame.n, call)

    def _unpriced(
        self, frame: frames.Settle, call: Call, event: Event, error: NoburnError
    ) -> Answer:
        """Usage that has no price is charged at the hold, and stays open to a late bill."""
        if call.state == _UNCERTAIN:
            return _closed(frame.n, call)  # as the first time
        if call.state != _HELD:
            return from_error(frame.n, refusal_word(error), error)
        event.kind = "lose"
        event.cost_nano, event.cost_tokens = call.hold[0], call.hold[1]
        event.failure = error.message
        self._end(call, event)
        return _closed(frame.n, call)

    def lose(self, frame: frames.Lose, now_ms: int) -> Answer:
        """The usage was not learnt: the hold stays charged in full."""
        call = self.calls.get(frame.call)
        if call is None:
            frames.check_call_id(frame.call)
            return _not_found(frame.n, frame.call)
        if call.state == _UNCERTAIN:
            return _closed(frame.n, call)
        if call.state != _HELD:
            return _has_ended(frame.n, call)
        self._charge_in_full(
            call, "lose", now_ms, frame.reason, frame.latency_ms, frame.status, frame.provider_id
        )
        return _closed(frame.n, call)

    def void(self, frame: frames.Void, now_ms: int) -> Answer:
        """Release everything; of an unknown id leave a tombstone, of a waiting one cancel it."""
        call = self.calls.get(frame.call)
        if call is None:
            frames.check_call_id(frame.call)
            waiter = self.waiting.get(frame.call)
            if waiter is not None:
                self.dismiss(waiter, refusal(None, protocol.CLOSED, "the call was voided"))
            self.events.append(
                Event(0, now_ms, "tombstone", call=frame.call, failure=frame.reason or None)
            )
            self.calls.add(Call(frame.call, TOMBSTONE))
            return frames.Closed(frame.n, True, _VOIDED)
        if call.state in (_VOIDED, TOMBSTONE):
            return frames.Closed(frame.n, True, _VOIDED)
        if call.state != _HELD:
            return _has_ended(frame.n, call)
        event = Event(
            0, now_ms, "void", call=call.id, failure=frame.reason or None,
            latency_ms=frame.latency_ms, status=frame.status,
        )  # fmt: skip
        self._end(call, event)
        return frames.Closed(frame.n, True, _VOIDED)

    def owner_gone(self, owner: str, now_ms: int) -> int:
        """Charge every hold of a process that is gone in full, and drop its waiters; how many."""
        for waiter in self.waiting:
            if waiter.owner == owner:
                self.waiting.remove(waiter)
                self.stirred = True
        orphans = [call for call in self.calls.open.values() if call.owner == owner]
        for call in orphans:
            self._charge_in_full(call, "orphan", now_ms, "the process that made it is gone")
        return len(orphans)

    def _charge_in_full(
        self, call: Call, kind: str, now_ms: int, reason: str,
        latency_ms: int | None = None, status: int | None = None, provider_id: str | None = None,
    ) -> None:  # fmt: skip
        event = Event(
            0, now_ms, kind, call=call.id, cost_nano=call.hold[0], cost_tokens=call.hold[1],
            failure=reason or None, latency_ms=latency_ms, status=status, provider_id=provider_id,
        )  # fmt: skip
        self._end(call, event)

    def _end(self, call: Call, event: Event) -> None:
        self.events.append(event)
        self.close_call(call, event)

    def close_call(self, call: Call, event: Event) -> None:
        """Apply a closing row, live or replayed."""
        was_held = call.state == _HELD
        added = close(call, event)
        for account in call.accounts:
            index = account.unit_index
            if was_held:
                account.held -= call.hold[index]
                account.in_flight -= 1
            account.settled += added[index]
        self.accounts.dirty.update(call.accounts)
        self.runs.closed(call, added[0], was_held=was_held, at_ms=event.at_ms)
        self.calls.closed(call)
        self.stirred = True

    def _check_bound(self, call: Call, actual: int, now_ms: int) -> None:
        """A bill above its bound is a defect of the bound: raise the model's factor at once."""
        if actual <= call.input_bound or call.bound == ASSUMED:
            return  # Under a ceiling nothing was claimed about the input.
        model = self.resolved(call.model)
        needed = -(-call.factor * actual // max(1, call.input_bound))
        factor = max(min(needed, 10**6), self.pricing.factors.get(model, 1000))
        self.pricing.factors[model] = self.changed.factors[model] = factor
        self.events.append(
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

    # Calls that the guard, or pricing, refused.

    def refused(self, frame: frames.Refused, now_ms: int) -> Answer:
        """Record a call that the guard refused by itself."""
        call = self.calls.get(frame.call)
        if call is not None and call.state != REFUSED:
            return _conflict(frame.n, frame.call)
        if call is None:
            frames.check_call_id(frame.call)
            context = self.context(frame.attrs)
            self._refuse(frame, context, frame.error, now_ms, digest=None, reason=frame.reason)
            self.calls.add(Call(frame.call, REFUSED))
        return {"n": frame.n, "ok": True}

    def _refuse(
        self, frame: frames.Reserve | frames.Refused, context: Context, word: str, now_ms: int,
        *, digest: int | None, reason: str,
    ) -> None:  # fmt: skip
        model = _json([frame.api, frame.model, None])
        self._turn_away(
            Event(
                0,
                now_ms,
                "refused",
                call=frame.call,
                context=context.text,
                model=model,
                digest=digest,
                failure=word,
                detail=_json({"reason": reason}),
            ),
            context,
            reason,
        )

    # Small things.

    def context(self, raw: msgspec.Raw) -> Context:
        """The context of a frame's attributes.  Raises BadFrame."""
        key = bytes(raw)
        context = self._contexts.get(key)
        if context is None:
            try:
                context = Context(check_attributes(frames.decode_attributes(key)))
            except UsageError as error:
                raise frames.BadFrame(error.message, n=None, fatal=False) from error
            if len(self._contexts) >= _CONTEXTS_MAX:
                self._contexts.clear()
            self._contexts[key] = context
        return context

    def resolved(self, model: str) -> str:
        """The resolved name in a model as the journal writes it."""
        name = self._resolved.get(model)
        if name is None:
            name = self._resolved[model] = str(json.loads(model)[2])
        return name

    def call_from_rows(self, rows: list[Event]) -> Call | None:
        """A call as its rows tell it, oldest first; None when they do not close the id."""
        call: Call | None = None
        for row in rows:
            if row.kind == "reserve":
                context = Context(json.loads(str(row.context)))
                accounts = self.accounts.at(context.attributes, row.at_ms, make=False)
                call = opened(row, context, ())
                call.accounts = charged(accounts, notional=call.notional)
            elif row.kind == "tombstone" or (row.kind == "refused" and row.digest is None):
                call = Call(str(row.call), TOMBSTONE if row.kind == "tombstone" else REFUSED)
            elif row.kind in ("settle", "lose", "orphan", "void") and call is not None:
                close(call, row)
        return call


def content_digest(frame: frames.Reserve, context: Context) -> int:
    """What makes two reserves of one id the same: all but how it was counted, and the wait."""
    size = frame.input
    # Only where there is something: a reserve of before these fields is still the same one.
    further = (size.requests, size.windows, frame.output_kinds, frame.extra, frame.ceiling)
    content = msgspec.json.encode(
        (
            frame.api,
            frame.model,
            context.text,
            size.bytes,
            size.expanded,
            size.overhead,
            size.tokens,
            size.window,
            frame.input_kinds,
            frame.variants,
            frame.output,
            *(("notional",) if frame.notional else ()),
            *(further if further != _NOTHING_FURTHER else ()),
        )
    )
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


_NOTHING_FURTHER: tuple[object, ...] = (1, 0, ("output",), {}, None)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _blocked_detail(reply: Reply) -> str:
    return _json({key: value for key, value in reply.items() if key not in ("ok", "error")})


def _note(context: Context, quote: Quote, *, notional: bool) -> str:
    """Which rates and which budgets: the same for nearly every call of a context."""
    place = f"{int(notional)}{quote.rates_note}"
    note = context.notes.get(place)
    if note is None:
        names = [account.name for account in charged(context.checked, notional=notional)]
        first = {"notional": True} if notional else {}
        note = _json({**first, "rates": json.loads(quote.rates_note), "budgets": names})
        context.notes[place] = note
    return note


def _refined(frame: frames.Reserve, quote: Quote) -> Quote:
    """The quote as it could be if the input were counted."""
    size = frame.input
    tokens = size.overhead + size.tokens + size.bytes // _BYTES_PER_TOKEN_AT_BEST
    refined = msgspec.structs.replace(quote, input_tokens=min(tokens, quote.input_tokens))
    refined.full = refined.weights(refined.want)
    return refined


def _refine(quote: Quote) -> Reply:
    return refusal(
        None, protocol.REFINE, "the cheap bound of the input does not fit what is left",
        why=f"it was bounded by {quote.how}", next_step="send it again as `by` says",
        by=quote.refine_by,
    )  # fmt: skip


def _granted(n: int, call: Call) -> frames.Granted:
    return frames.Granted(
        n, True, call.id, call.granted, call.write_cap, call.clamped, call.wanted, call.hold[0],
        call.bound, call.book, call.input_bound,
    )  # fmt: skip


def _closed(n: int, call: Call) -> frames.Closed:
    overshoot = None
    if call.state == _SETTLED:
        overshoot = call.cost[0] - call.hold[0]
        if overshoot < 0:
            overshoot = 0
    return frames.Closed(n, True, call.state, call.cost[0], overshoot)


def _repeated(frame: frames.Reserve, call: Call, digest: int) -> Answer:
    if call.state in (TOMBSTONE, REFUSED):
        return _has_ended(frame.n, call)
    if call.digest != digest:
        return _conflict(frame.n, frame.call)
    if call.state != _HELD:
        return _has_ended(frame.n, call)
    return _granted(frame.n, call)


def _conflict(n: int, call: str) -> Reply:
    return refusal(
        n, protocol.CONFLICT, f"call {call} is known with other content",
        why="the id is the idempotency key", next_step="make a new id for a new call",
    )  # fmt: skip


def _has_ended(n: int, call: Call) -> Reply:
    return refusal(
        n, protocol.CLOSED, f"call {call.id} has ended: {call.state}", state=call.state,
        next_step="make a new id for a new call",
    )  # fmt: skip


def _not_found(n: int, call: str) -> Reply:
    return refusal(n, protocol.NOT_FOUND, f"there is no call {call}")
