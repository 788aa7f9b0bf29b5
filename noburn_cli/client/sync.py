"""The daemon's client for threads: one frame, one answer, whatever happens in between.

Layer: client.  Below: pool, opening, retry, requests, journal.
Replies come raw from `request`, `reserve` and what ends a call: the guard reads refusals itself.
The methods for people (runs, budgets, status) raise the error that a refusal means.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from noburn_cli import paths, protocol
from noburn_cli.client import journal, requests
from noburn_cli.client.connection import Connection
from noburn_cli.client.opening import Opener
from noburn_cli.client.pool import Pool
from noburn_cli.client.requests import Frame, accepted
from noburn_cli.client.retry import (
    ENDINGS,
    GIVE_UP_S,
    ONCE,
    Late,
    Lost,
    NoReply,
    Patience,
    is_to_repeat,
    reply_limit_s,
    unavailable,
)
from noburn_cli.errors import FrameRefused, Unavailable


class Client:
    """Talks to the daemon of one home folder; thread-safe, usable after a fork.

    home: where the socket is; the environment's (`NOBURN_HOME`) by default.
    start_daemon: whether a daemon that isn't there is started.
    Every method may raise DaemonUnavailable, and FrameRefused for another protocol version.
    """

    def __init__(self, home: Path | None = None, start_daemon: bool = True) -> None:
        self._opener = Opener(paths.home() if home is None else home, start_daemon=start_daemon)
        self._pool = Pool()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; a thread that waits in one gets DaemonUnavailable or asks anew."""
        self._pool.close()

    # What the guard uses: raw replies.

    def request(self, op: str, **fields: Any) -> Frame:
        """Send one request: as its method below does, refusals included.

        About a call, the reply comes as it is, `ok` false included; for all else a refusal raises.
        """
        if op in (protocol.HELLO, protocol.RUN_WATCH):
            raise ValueError(f"`{op}` is no request with one reply")
        if op == protocol.RESERVE:
            return self.reserve(fields)
        if op in ENDINGS:
            return self.deliver(op, **fields)
        return (
            self._ask({**fields, "op": op})
            if op == protocol.REFUSED
            else self._accepted(op, **fields)
        )

    def reserve(self, frame: Mapping[str, Any]) -> Frame:
        """Ask for a hold: `frame` as docs/protocol.md has it, without `n` and `op`.

        A reserve that is given up, for whatever reason, is voided.
        """
        asked = requests.reserve_frame(frame)
        patience = Patience(asked, now=time.monotonic())
        try:
            reply = self._ask(asked, patience)
        except BaseException:
            if patience.sent:
                self._give_up(str(asked["call"]))
            raise
        if patience.may_be_held(reply):
            self._give_up(str(asked["call"]))
        return reply

    def deliver(self, op: str, **fields: Any) -> Frame:
        """Say how a call ended: `settle`, `lose` or `void`.

        Undeliverable, it is kept in the journal, and the reply's error is `undelivered`.
        """
        assert op in ENDINGS, op
        return self._end({**fields, "op": op})

    def settle(
        self,
        call: str,
        usage: Mapping[str, int],
        *,
        variant: str = "standard",
        latency_ms: int | None = None,
        status: int | None = None,
        provider_id: str | None = None,
        served_model: str | None = None,
        failure: str | None = None,
    ) -> Frame:
        """Book what a call used.  Undeliverable, it is kept, and the reply says `undelivered`."""
        return self._end(
            requests.settle_frame(
                call,
                usage,
                variant=variant,
                latency_ms=latency_ms,
                status=status,
                provider_id=provider_id,
                served_model=served_model,
                failure=failure,
            )
        )

    def lose(
        self,
        call: str,
        *,
        reason: str = "",
        latency_ms: int | None = None,
        status: int | None = None,
    ) -> Frame:
        """Say that nobody knows what a call used.  Kept like a settle."""
        return self._end(
            requests.unsettled_frame(
                protocol.LOSE, call, reason=reason, latency_ms=latency_ms, status=status
            )
        )

    def void(
        self,
        call: str,
        *,
        reason: str = "",
        latency_ms: int | None = None,
        status: int | None = None,
    ) -> Frame:
        """Release a hold whose call costs nothing.  Kept like a settle."""
        return self._end(
            requests.unsettled_frame(
                protocol.VOID, call, reason=reason, latency_ms=latency_ms, status=status
            )
        )

    def refused(
        self,
        call: str,
        *,
        api: str,
        model: str,
        attrs: Mapping[str, str],
        reason: str,
        error: str = protocol.UNBOUNDED,
    ) -> Frame:
        """Record a call that the guard refused by itself."""
        return self._ask(
            requests.refused_frame(
                call, api=api, model=model, attrs=attrs, reason=reason, error=error
            )
        )

    # What commands use: a refusal is an error.

    def run_start(
        self,
        *,
        run: str,
        attrs: Mapping[str, str],
        command: Sequence[str],
        limit: Mapping[str, Any] | None,
    ) -> Frame:
        """Begin a run that this process owns; limit: `unit` and `amount`, or None."""
        limited = None if limit is None else dict(limit)
        return self._accepted(
            protocol.RUN_START, run=run, attrs=dict(attrs), command=list(command), limit=limited
        )

    def run_end(self, *, run: str, exit_code: int | None) -> Frame:
        return self._accepted(protocol.RUN_END, run=run, exit_code=exit_code)

    def run_watch(self, *, run: str) -> Iterator[Frame]:
        """The events of a run from now on, on a connection of their own.

        A run that has been stopped already begins with the event that said so.
        Ends with DaemonUnavailable when the connection does, `close` by another thread included.
        """
        connection = self._pool.take(self._open, fresh=True)
        frame = {"op": protocol.RUN_WATCH, "run": run}
        try:
            deadline = time.monotonic() + reply_limit_s(frame)
            reply = accepted(connection.exchange(frame, deadline=deadline))
        except NoReply as error:
            self._pool.drop(connection)
            raise unavailable(frame, error, sent=True) from error
        except BaseException:
            self._pool.drop(connection)
            raise
        return _Events(connection, self._pool, frame, reply)

    def run_stop(self, *, run: str, reason: str = "", by: str = "") -> Frame:
        """Let no call of a run go any more; by: who says so, for the person that reads it."""
        return self._accepted(protocol.RUN_STOP, run=run, reason=reason, by=by)

    def run_list(self, run: str | None = None) -> Frame:
        """The reply has `runs`: every open run as `noburn top` shows it, or the one named."""
        return self._accepted(protocol.RUN_LIST, run=run)

    def budget_set(
        self, *, scope: str, per: str, limit: Mapping[str, Any], override: bool = False
    ) -> Frame:
        """Set a limit (`unit`, `amount`) on a scope per window; the reply has `budget`."""
        frame = requests.budget_set_frame(scope=scope, per=per, limit=limit, override=override)
        return accepted(self._ask(frame))

    def budget_list(self) -> Frame:
        """The reply has `budgets`."""
        return self._accepted(protocol.BUDGET_LIST)

    def budget_rm(self, *, scope: str, per: str, unit: str = "dollars") -> Frame:
        return self._accepted(protocol.BUDGET_RM, scope=scope, per=per, unit=unit)

    def budget_topup(self, *, scope: str, per: str, amount: int, unit: str = "dollars") -> Frame:
        """Add to one account's current window.  Never repeated: it would add twice."""
        return self._accepted(protocol.BUDGET_TOPUP, scope=scope, per=per, unit=unit, amount=amount)

    def remaining(self, attrs: Mapping[str, str]) -> Frame:
        """What is left for calls with these attributes."""
        return accepted(self._ask(requests.remaining_frame(attrs)))

    def status(self) -> Frame:
        return self._accepted(protocol.STATUS)

    def shutdown(self) -> Frame:
        """Have the daemon drain and leave."""
        return self._accepted(protocol.SHUTDOWN)

    # How.

    def _accepted(self, op: str, **fields: Any) -> Frame:
        return accepted(self._ask({**fields, "op": op}))

    def _ask(self, frame: Frame, patience: Patience | None = None) -> Frame:
        """Send until answered.  Raises DaemonUnavailable when patience ends."""
        patience = patience or Patience(frame, now=time.monotonic())
        while True:
            reason: object
            try:
                reply = self._exchange(frame, patience)
                if not is_to_repeat(frame, reply):
                    return reply
                reason = reply.get("message") or reply["error"]
            except Lost as error:
                reason = error
            except Late as error:
                raise unavailable(frame, error, sent=patience.sent) from error
            self._pool.drop_idle()
            time.sleep(patience.pause_s(reason, now=time.monotonic()))

    def _exchange(self, frame: Frame, patience: Patience) -> Frame:
        # What may be sent only once isn't risked on a connection that may have died while idle.
        connection = self._pool.take(self._open, fresh=frame["op"] in ONCE)
        patience.sent = True
        return self._exchange_on(connection, frame, reply_limit_s(frame))

    def _exchange_on(self, connection: Connection, frame: Frame, within_s: float) -> Frame:
        try:
            reply = connection.exchange(frame, deadline=time.monotonic() + within_s)
        except BaseException:
            self._pool.drop(connection)  # A late reply must not answer the next request.
            raise
        self._pool.put_back(connection)
        return reply

    def _open(self) -> Connection:
        return self._opener.open()

    def _open_quickly(self) -> Connection:
        return self._opener.open_quickly(within_s=GIVE_UP_S)

    def _end(self, frame: Frame) -> Frame:
        """Deliver what ends a call, or keep it."""
        try:
            reply = self._ask(frame)
            instead = requests.plainer_ending(frame, reply)
            if instead is not None:
                self._ask(instead)
            return reply
        except Unavailable as error:
            journal.keep(self._opener.journal, frame, error)
            return requests.undelivered(error)
        except BaseException:
            with contextlib.suppress(OSError):
                journal.append(self._opener.journal, frame)
            raise

    def _give_up(self, call: str) -> None:
        """Void a reserve that may have been granted; quickly, as somebody wants to leave."""
        frame = requests.given_up_frame(call)
        try:
            connection = self._pool.take(self._open_quickly, fresh=True)
            if self._exchange_on(connection, frame, GIVE_UP_S).get("ok"):
                return
        except (NoReply, Unavailable):
            pass
        # Neither told nor kept, the hold is an orphan when this process ends: charged, never free.
        with contextlib.suppress(OSError):
            journal.append(self._opener.journal, frame)


class _Events:
    """The events of one watched run; an iterator that closes its connection with itself."""

    def __init__(self, connection: Connection, pool: Pool, frame: Frame, reply: Frame) -> None:
        self._connection = connection
        self._frame = frame
        self._missed = reply if reply.get("state") == protocol.STOPPED else None
        self._close = weakref.finalize(self, pool.drop, connection)

    def __iter__(self) -> _Events:
        return self

    def __next__(self) -> Frame:
        if self._missed is not None:
            message, self._missed = self._missed.get("message"), None
            return {"event": protocol.STOPPED, "run": self._frame["run"], "message": message}
        try:
            while True:
                event = self._connection.next_frame(deadline=None)
                if "event" in event:
                    return event
        except (Lost, FrameRefused) as error:
            self.close()
            raise unavailable(self._frame, error, sent=True) from error

    def close(self) -> None:
        """Stop watching."""
        self._close()
