"""How a call that left ends: settled, voided or lost, exactly once.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: providers.
Above: the hooks, which move the bytes and deliver the outcome.
Owns: which ending means what (docs/threat-model.md has the table).
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Mapping
from typing import Any

from noburn_cli import protocol
from noburn_cli.client.requests import usage_fields
from noburn_cli.core.variants import with_region
from noburn_cli.enforce import cutting
from noburn_cli.enforce.answers import Tape
from noburn_cli.enforce.bodies import (
    PLAIN,
    READABLE,
    Body,
    Events,
    Unpacker,
    Unreadable,
    Whole,
)
from noburn_cli.enforce.policy import DRAIN, policy
from noburn_cli.enforce.received import Received
from noburn_cli.providers.codec import Codec, Later, Settlement, Tells

FAILURE_CHARS_MAX = 300
#: A time-out and a closed request may have been processed until then, and 424 is Bedrock's word for
#: a model that failed while it was processing: nobody documents that these are not billed.
#: (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html, errors:
#: ModelTimeoutException 408, ModelErrorException 424; checked 2026-11-27.)
_GAVE_UP = frozenset({408, 424, 499})
#: The code in the error event of a stream that was cut, and in the block of a stopped run.
CODE_STOPPED = "noburn_run_stopped"
_NOT_ALL = "its usage does not tell all that it cost, so that it stays at its ceiling"


class Outcome:
    """One frame for the daemon: its operation ("" for nothing to say) and fields.

    tape: the answer that ended so, where it is to be kept.
    """

    __slots__ = ("fields", "op", "tape")

    def __init__(self, op: str, fields: dict[str, Any], tape: Tape | None = None) -> None:
        self.op = op
        self.fields = fields
        self.tape = tape


class Tracker:
    """Follows one call that holds money, from its sending to its end.

    Every method that can end the call returns its Outcome the first time and None afterwards.
    stream: whether events were asked for.  strip_usage: take out what only we asked for.
    tells_all: whether the usage of the answer is all that the call cost.
    fixed_usage: what a successful answer is billed, where the request alone decides it.
    received: measures what came, where the policy accepts that as what an aborted call cost.
    region: of the host that answers, at whose price the call is billed (core.variants).
    """

    def __init__(
        self, call_id: str, codec: Codec, *, stream: bool, strip_usage: bool,
        tells_all: bool = True, fixed_usage: Mapping[str, int] | None = None,
        received: Received | None = None, region: str = "",
    ) -> None:  # fmt: skip
        self.call_id = call_id
        self._codec = codec
        self._stream = stream
        self._strip_usage = strip_usage
        self._tells_all = tells_all
        self._fixed_usage = fixed_usage
        self._received = received
        self._region = region
        self._pid = os.getpid()
        self._began = time.monotonic()
        self._status: int | None = None
        self._body: Body | None = None
        self._ended = False
        #: Why the stream was cut, or None; its follower is to read no further then.
        self.cut: str | None = None
        #: Keeps the answer of a run whose answers are recorded.
        self.tape: Tape | None = None

    def not_sent(self, error: BaseException) -> Outcome | None:
        """No byte of the request reached the provider."""
        return self._end(protocol.VOID, reason=_said(error))

    def broke(self, error: BaseException) -> Outcome | None:
        """The request was sent, or may have been, and then something failed."""
        return self._finish(_said(error))

    def answered(self, status: int, headers: Mapping[str, str]) -> bool:
        """The answer has begun.  True when its bytes are handed on unpacked.

        headers: by lower-case name.
        """
        self._status = status
        if self.tape is not None:
            self.tape.answered(status, headers)
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in READABLE:
            self._body = Unreadable()
            return False
        packed = encoding not in PLAIN
        unpack = Unpacker(encoding) if packed else None
        if not self._is_events(status, headers.get("content-type", "")):
            self._body = Whole(self._codec, unpack, self._received)
            return False
        reader = self._codec.stream(strip_usage=self._strip_usage)
        self._body = Events(reader, unpack, self._received, edits=self._strip_usage)
        cutting.watch()
        return packed and self._strip_usage

    def _is_events(self, status: int, content_type: str) -> bool:
        content_type = content_type.strip().lower()
        if not 200 <= status < 300:
            return False
        # Compatible servers send events under other names as well; an answer as JSON is none.
        asked = self._stream and not content_type.startswith("application/json")
        return asked or content_type.startswith("text/event-stream")

    def receive(self, chunk: bytes) -> bytes:
        """Bytes of the answer in, the bytes to hand on out.

        When the run was stopped these end with the provider's own error event, and `cut` says why.
        Raises zlib.error when bytes that must be unpacked cannot be; nothing else.
        """
        if self.tape is not None:
            self.tape.receive(chunk)
        if self._body is None:
            return chunk
        try:
            if cutting.cut_by() is not None and isinstance(self._body, Events):
                return self._cut(self._body, chunk, cutting.cut_by() or "")
            return self._body.receive(chunk)
        except zlib.error:
            edited = isinstance(self._body, Events) and self._body.edits
            self._body = Unreadable()
            if edited:
                raise
            return chunk
        except Exception:  # noqa: BLE001 - the program gets its answer whatever we make of it
            self._body = Unreadable()
            return chunk

    def _cut(self, body: Events, chunk: bytes, message: str) -> bytes:
        """Between two events, end the stream; one whose generation is over ends by itself."""
        if self.cut is not None:
            return b""
        kept, whole = body.up_to_event(chunk)
        if kept is None or body.is_over():
            return whole
        self.cut = message
        said = f"noburn: {message[0].upper()}{message[1:].rstrip('.')}."
        return kept + self._codec.stream_error(message=said, code=CODE_STOPPED)

    def rest(self) -> bytes:
        """The bytes still withheld at the end of the answer."""
        try:
            return b"" if self._body is None or self.cut is not None else self._body.close()
        except Exception:  # noqa: BLE001 - as in `receive`
            return b""

    def edits(self) -> bool:
        """Whether the bytes that are handed on are not those that came."""
        return isinstance(self._body, Events) and self._body.edits

    def can_be_cut(self) -> bool:
        """Whether an event of ours may come to stand in what is handed on."""
        return isinstance(self._body, Events) and self._body.is_plain()

    def drains(self) -> bool:
        """Whether the policy wants an answer read to its end that the program has let go of."""
        body = self._body
        if (
            self._ended
            or self.cut is not None
            or policy().on_abort != DRAIN
            or isinstance(body, Unreadable)
        ):
            return False
        return body is not None and self._status is not None and 200 <= self._status < 300

    def worth_draining(self) -> bool:
        """Whether the generation is over and only its usage has not been read yet."""
        body = self._body
        return not self._ended and isinstance(body, Events) and body.only_usage_missing()

    def completed(self) -> Outcome | None:
        """The answer has been read to its end."""
        return self._finish("the answer carries no usage")

    def abandoned(self, reason: str = "the answer was closed before its end") -> Outcome | None:
        """The program has let go of the answer."""
        return self._finish(reason, accepts=self._received)

    def _finish(self, lost_because: str, accepts: Received | None = None) -> Outcome | None:
        if self.cut is not None:
            lost_because = f"cut: {self.cut}"[:FAILURE_CHARS_MAX]
        settlement = self._settlement()
        if not self._tells_all and self._status is not None and 200 <= self._status < 300:
            settlement, lost_because = None, _NOT_ALL
        if settlement is not None:
            return self._end(
                protocol.SETTLE,
                usage=usage_fields(settlement.usage),
                variant=with_region(settlement.variant, self._region),
                served_model=settlement.served_model or None,
                provider_id=settlement.provider_id or None,
                failure=self._failure(),
            )
        status = self._status
        if status is not None and 300 <= status < 500 and status not in _GAVE_UP:
            # Refused before it was processed; providers bill tokens, and there were none.
            return self._end(protocol.VOID, reason=f"HTTP {status}")
        if status is not None and status >= 300:
            lost_because = f"HTTP {status}"
        elif accepts is not None and status is not None and self._is_acceptable():
            return self._end(
                protocol.SETTLE,
                usage=usage_fields(accepts.usage()),
                variant=accepts.variant,
                served_model=None,
                provider_id=None,
                failure=accepts.said(lost_because)[:FAILURE_CHARS_MAX],
            )
        later = self._told_later()
        if later:
            lost_because = f"batch {later}: its results settle it"
        return self._end(protocol.LOSE, reason=lost_because, provider_id=later or None)

    def _told_later(self) -> str:
        """The provider's id under which another answer will tell the usage, or ""."""
        if self._status is None or not 200 <= self._status < 300:
            return ""
        if not isinstance(self._codec, Later) or not isinstance(self._body, Whole):
            return ""
        return self._codec.later(self._body.read())

    def _is_acceptable(self) -> bool:
        """Whether what came could be measured, and the program itself ended it."""
        return self.cut is None and self._tells_all and not isinstance(self._body, Unreadable)

    def _settlement(self) -> Settlement | None:
        if self._fixed_usage is not None:
            answered = self._status is not None and 200 <= self._status < 300
            return Settlement(self._fixed_usage) if answered else None
        try:
            return None if self._body is None else self._body.settlement()
        except Exception:  # noqa: BLE001 - usage that we fail to read is unknown: charged in full
            return None

    def _failure(self) -> str | None:
        if self._status is None or not 200 <= self._status < 300:
            return f"HTTP {self._status}"
        failed = isinstance(self._body, Events) and self._body.failed()
        return "the provider reported an error in its answer" if failed else None

    def _end(self, op: str, **fields: Any) -> Outcome | None:
        # A forked child inherits its parent's answers, but how they end is the parent's to say.
        if self._ended or os.getpid() != self._pid:
            return None
        self._ended = True
        latency_ms = int((time.monotonic() - self._began) * 1000)
        told = {"call": self.call_id, **fields, "latency_ms": latency_ms, "status": self._status}
        return Outcome(op, told, self.tape)


class LaterBill(Tracker):
    """Follows an answer that costs nothing and tells what an earlier call has cost.

    It holds no money: without a whole and readable answer there is nothing to say.
    """

    def __init__(self, call_id: str, codec: Codec) -> None:
        super().__init__(call_id, codec, stream=False, strip_usage=False)

    def not_sent(self, error: BaseException) -> Outcome | None:  # noqa: ARG002
        return None

    def _finish(self, lost_because: str, accepts: Received | None = None) -> Outcome | None:  # noqa: ARG002
        codec, body = self._codec, self._body
        if self._status != 200 or not isinstance(codec, Tells) or not isinstance(body, Whole):
            return None
        found = codec.results(body.read())
        if found is None:
            return None
        self.call_id = f"{protocol.BY_PROVIDER}{codec.batch}"
        return self._end(
            protocol.SETTLE,
            usage={},
            results=[usage_fields(one.usage) for one in found],
            variant=found[0].variant if found else "batch",
            served_model=found[0].served_model if found else None,
            provider_id=codec.batch,
        )

    def completed(self) -> Outcome | None:
        outcome = self._finish("")
        if outcome is None and self.tape is not None:
            outcome, self.tape = Outcome("", {}, self.tape), None
        return outcome

    def broke(self, error: BaseException) -> Outcome | None:  # noqa: ARG002
        return None

    def abandoned(self, reason: str = "") -> Outcome | None:  # noqa: ARG002
        return None

    def drains(self) -> bool:
        return False


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:FAILURE_CHARS_MAX]
