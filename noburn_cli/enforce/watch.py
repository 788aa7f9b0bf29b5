"""Watching a run: for what ends it, which is somebody who stops it, or the first call that is
stopped; and for what budgets that only warn have to say.

Layer: enforce (the supervisor's side).  Below: client.  Above: supervisor.
Owns: the connection that the daemon's events come on, and what was missed while it was down.
Not here: how a job is ended (job).

A run is stopped by `noburn stop`, or by a budget that kills.  A stopped call is one that was
refused for good: blocked by a budget, after its wait if it had one, or refused because nothing
bounds or prices it.  A call that still waits for money is none.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from noburn_cli import protocol
from noburn_cli.client import Client
from noburn_cli.client.retry import NoReply, unavailable
from noburn_cli.errors import NoburnError

#: How long the watch waits before it asks a daemon that went away again, in seconds.
RETRY_S = 0.5

#: Asks for the message of a run's first stopped call as the ledger has it, or None.
FindStopped = Callable[[str], str | None]


class Watch:
    """Subscribed when made, so that no block is too early; calls `end` once, from a thread.

    find_stopped: given, the first stopped call ends the run as well; asks the ledger, and may raise
        NoburnError.
    Raises DaemonUnavailable.
    """

    def __init__(self, run: str, *, find_stopped: FindStopped | None) -> None:
        self._run = run
        self._find_stopped = find_stopped
        # Only who counts on every block needs a daemon while nobody calls.
        self._client = Client(start_daemon=find_stopped is not None)
        self._events: Iterator[dict[str, Any]] | None = self._subscribe()
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._ended_by: str | None = None
        self._thread: threading.Thread | None = None

    def start(self, end: Callable[[], None], tell: Callable[[str], None]) -> None:
        """Begin to listen; `end` ends the job, and returns when it has ended.

        tell: says a sentence about a budget that lets calls go, from the watch's thread.
        """
        self._end = end
        self._tell = tell
        self._thread = threading.Thread(target=self._follow, name="noburn-watch", daemon=True)
        self._thread.start()

    def finish(self) -> str | None:
        """The command has gone: the message of what ends the run, if something does.

        A program that left because its call was stopped may be faster than the event; the ledger
        knows, and what is left of the job is ended.
        """
        with self._lock:
            self._finished.set()
        self._client.close()
        if self._ended_by is not None:
            assert self._thread is not None
            self._thread.join()
            return self._ended_by
        with contextlib.suppress(NoburnError):
            self._ended_by = self._missed() or self._stopped()
        if self._ended_by is not None:
            self._end()
        return self._ended_by

    def close(self) -> None:
        """Stop watching a run that never began."""
        self._finished.set()
        self._client.close()

    def _subscribe(self) -> Iterator[dict[str, Any]]:
        try:
            return self._client.run_watch(run=self._run)
        except NoReply as error:
            raise unavailable({"op": protocol.RUN_WATCH}, error, sent=False) from error

    def _follow(self) -> None:
        # Signals are the main thread's: a stop must take effect before its `kill` returns.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        message = self._first_stopped()
        if message is None:
            return
        with self._lock:
            if self._finished.is_set():
                return
            self._ended_by = message
        if self._find_stopped is not None:
            # What left the group, and who is slow to leave: no call of theirs goes any more.
            with contextlib.suppress(NoburnError):
                self._client.run_stop(run=self._run, reason=message, by="`--on-exceed kill`")
        self._end()

    def _missed(self) -> str | None:
        return None if self._find_stopped is None else self._find_stopped(self._run)

    def _stopped(self) -> str | None:
        """Who stopped the run, as the daemon has it."""
        for run in self._client.run_list(self._run)["runs"]:
            if run["state"] == protocol.STOPPED:
                return str(run["message"])
        return None

    def _first_stopped(self) -> str | None:
        while not self._finished.is_set():
            # A daemon that went away is started again by the client; the watch goes on with it.
            with contextlib.suppress(NoburnError):
                if self._events is None:
                    self._events = self._subscribe()
                    missed = self._missed()
                    if missed is not None:
                        return missed
                for event in self._events:
                    if event.get("event") == protocol.STOPPED:
                        return str(event.get("message") or "the run was stopped")
                    if event.get("event") == protocol.WARNED:
                        self._tell(str(event.get("message")))
                    if event.get("event") == protocol.BLOCKED and self._find_stopped is not None:
                        return str(event.get("message") or "a call was blocked")
            self._events = None
            self._finished.wait(RETRY_S)
        return None
