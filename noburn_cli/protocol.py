"""The frames between client and daemon: words, limits and the line codec.

Layer: protocol.  Below: errors.  Above: client and noburn_daemon.  No sockets, no clock.
Standard library only, Python 3.10: it travels into guests.  docs/protocol.md describes each frame.

A frame is one JSON object on one line, UTF-8, ended by LF.  Every request carries `n`, a number
that its sender chooses and that comes back in the reply; requests may be pipelined and replies may
come in any order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from noburn_cli.errors import FrameRefused

VERSION = 1

#: A reserve may carry the request's text for exact counting, so a frame may be large.
FRAME_BYTES_MAX = 8 * 1024 * 1024
#: How many frames one connection may have unanswered.
PIPELINE_MAX = 1024
CONNECTIONS_MAX = 4096
CALL_ID_CHARS_MAX = 64
#: Before a provider's id, where a settle names a call by it: `provider:msgbatch_…`.
BY_PROVIDER = "provider:"
#: How many entries one request may correct the books by.
CORRECTIONS_MAX = 2000
WAIT_MS_MAX = 24 * 3600 * 1000

# Requests.
HELLO = "hello"
RESERVE = "reserve"
SETTLE = "settle"
LOSE = "lose"
VOID = "void"
REFUSED = "refused"
RUN_START = "run.start"
RUN_END = "run.end"
RUN_WATCH = "run.watch"
RUN_NOTE = "run.note"
KEYS_LEND = "keys.lend"
KEY = "key"
RUN_STOP = "run.stop"
RUN_PAUSE = "run.pause"
RUN_RESUME = "run.resume"
RUN_LIMIT = "run.limit"
RUN_LIST = "run.list"
BUDGET_SET = "budget.set"
BUDGET_LIST = "budget.list"
BUDGET_RM = "budget.rm"
BUDGET_TOPUP = "budget.topup"
BUDGET_UNSCHEDULE = "budget.unschedule"
BUDGET_APPLY = "budget.apply"
REMAINING = "remaining"
LEDGER_CORRECT = "ledger.correct"
LEDGER_UNDO = "ledger.undo"
LEDGER_COMPACT = "ledger.compact"
LEDGER_FORGET = "ledger.forget"
STATUS = "status"
RELOAD = "reload"
NOTIFY_LIST = "notify.list"
NOTIFY_TEST = "notify.test"
NOTIFY_RETRY = "notify.retry"
SHUTDOWN = "shutdown"
OPERATIONS = (
    HELLO, RESERVE, SETTLE, LOSE, VOID, REFUSED, RUN_START, RUN_END, RUN_WATCH, RUN_NOTE,
    RUN_STOP, RUN_PAUSE, RUN_RESUME, RUN_LIMIT, RUN_LIST, KEYS_LEND, KEY,
    BUDGET_SET, BUDGET_LIST, BUDGET_RM, BUDGET_TOPUP, BUDGET_UNSCHEDULE, BUDGET_APPLY, REMAINING,
    LEDGER_CORRECT, LEDGER_UNDO, LEDGER_COMPACT, LEDGER_FORGET, STATUS, RELOAD,
    NOTIFY_LIST, NOTIFY_TEST, NOTIFY_RETRY, SHUTDOWN,
)  # fmt: skip

# Errors, in a reply's `error`.  The second column says whether the same frame can succeed later.
BLOCKED = "blocked"  # a budget does not afford the call; `why_blocked` is `spent` or `in_flight`
REFINE = "refine"  # the cheap bound does not fit: send again with what `by` names (`text`, `count`)
DOWNGRADE = "downgrade"  # a budget asks for a cheaper model: send again for `model`
CONFLICT = "conflict"  # the call id is known with other content
CLOSED = "closed"  # the call id has ended
NOT_FOUND = "not_found"  # no such call, run or budget
UNKNOWN = "unknown"  # the commit failed: ask again with the same id
MODEL_UNKNOWN = "model_unknown"
PRICE_UNKNOWN = "price_unknown"
UNBOUNDED = "unbounded"
STALE = "stale"  # the budgets are no longer those that a plan was made against
KEY_UNKNOWN = "key_unknown"  # a virtual key that nobody lends (any more)
BAD_FRAME = "bad_frame"
VERSION_MISMATCH = "version"
LEDGER = "ledger"  # the ledger cannot be written (disk full, read-only, locked)
STOPPED = "stopped"  # a run that the call is in was stopped, or has ended
PAUSED = "paused"  # a run that the call is in has been paused for too long
CONFIGURATION = "configuration"  # it is broken: what held before holds on
DRAINING = "draining"  # the daemon is about to leave; connect again
#: What is said of an ending that will never be booked again.
NEVER_BOOKED = frozenset((CONFLICT, CLOSED, NOT_FOUND))
ERRORS: Mapping[str, bool] = {
    BLOCKED: True, REFINE: False, DOWNGRADE: False, CONFLICT: False, CLOSED: False,
    NOT_FOUND: False, UNKNOWN: True, MODEL_UNKNOWN: False, PRICE_UNKNOWN: False,
    UNBOUNDED: False, KEY_UNKNOWN: False, STALE: False,
    BAD_FRAME: False, VERSION_MISMATCH: False, STOPPED: False, PAUSED: True,
    LEDGER: True, DRAINING: True, CONFIGURATION: False,
}  # fmt: skip

#: How long a paused run's calls wait before they are refused, in milliseconds.
PAUSE_MS_MAX = 24 * 3600 * 1000
#: How often a caller whose run is paused hears so, in seconds: far below what a reply may take.
PAUSED_EVERY_S = 3.0

#: An event for who watches a run: a budget that only warns is spent, or asks for a cheaper model.
WARNED = "warned"

SPENT = "spent"
IN_FLIGHT = "in_flight"

#: Attributes of a call, besides `tag.NAME`.  `run` is a path of run ids, outermost first: `r1/r2`;
#: `step` is one of chain steps, graph nodes and tools: `graph/research/tool:search`.
ATTRIBUTES = ("project", "customer", "feature", "user", "job", "run", "step")
TAG_PREFIX = "tag."


def encode(frame: Mapping[str, Any]) -> bytes:
    """One frame as a line."""
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The object in one frame.

    Raises FrameRefused when it is not a JSON object in UTF-8.
    """
    try:
        frame = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FrameRefused("a frame is not JSON", why=str(error)) from error
    if not isinstance(frame, dict):
        raise FrameRefused("a frame is not a JSON object", why=f"got {type(frame).__name__}")
    return frame


class FrameDecoder:
    """Bytes in, frames out; never touches a socket.  A frame is bytes ended by LF."""

    def __init__(self, *, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._parts: list[bytes] = []
        self._held_bytes = 0

    def receive(self, chunk: bytes) -> list[bytes]:
        """Return the frames that `chunk` completes; b"" says that the peer has closed.

        Raises FrameRefused, after which the socket is to be closed: a frame above
        frame_bytes_max, or a close inside one.
        """
        if not self._parts and 0 <= chunk.find(b"\n") == len(chunk) - 1 <= self._frame_bytes_max:
            return [chunk[:-1]]  # one whole frame, as nearly always
        if not chunk:
            if self._held_bytes:
                raise FrameRefused("the peer closed in the middle of a frame")
            return []
        lines = chunk.split(b"\n")
        if len(lines) == 1:
            self._hold(chunk)
            return []
        self._hold(lines[0])
        lines[0] = b"".join(self._parts)
        self._parts.clear()
        self._held_bytes = 0
        tail = lines.pop()
        for line in lines:
            if len(line) > self._frame_bytes_max:
                raise FrameRefused(f"a frame is longer than {self._frame_bytes_max} bytes")
        if tail:
            self._hold(tail)
        return lines

    def _hold(self, part: bytes) -> None:
        self._parts.append(part)
        self._held_bytes += len(part)
        if self._held_bytes > self._frame_bytes_max:
            raise FrameRefused(f"a frame is longer than {self._frame_bytes_max} bytes")
