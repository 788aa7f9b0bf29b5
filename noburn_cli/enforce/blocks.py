"""What a call that does not leave is answered: the provider's own error, in noburn's words.

Layer: enforce, injected (standard library, Python 3.10), pure.  Below: providers.codec, protocol.
Above: guard and reserving; drivers and signing, for failures of their own.
Owns: the error codes that a program sees, and how the daemon's sentences become one message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from noburn_cli import protocol
from noburn_cli.enforce.outcome import CODE_STOPPED
from noburn_cli.providers.codec import Block, Codec
from noburn_cli.providers.registry import Route, error_codec

#: The provider's error code that a program sees for a block, and for a daemon that is not there.
CODE_BLOCKED = "noburn_budget_exceeded"
CODE_REFUSED = "noburn_call_refused"
CODE_UNAVAILABLE = "noburn_unavailable"
_CODES = {protocol.BLOCKED: CODE_BLOCKED, protocol.STOPPED: CODE_STOPPED}
#: For a virtual key that stands for nothing: HTTP 401, as the provider would.
CODE_NO_KEY = "noburn_key_unknown"


def block_of(codec: Codec, call_id: str, reply: Mapping[str, Any]) -> Block:
    """The daemon's refusal of a reserve."""
    later_ms = reply.get("retry_after_ms")
    if later_ms:
        # A limit of so much a minute: the provider's SDK knows what to do with its like.
        message = _said([str(reply.get("message")), str(reply.get("why"))])
        return codec.rate_limit(
            message=message, unit=str(reply.get("unit")), retry_after_ms=int(later_ms)
        )
    code = _CODES.get(str(reply.get("error")), CODE_REFUSED)
    message = str(reply.get("message") or f"call refused: {reply.get('error')}")
    why, step = str(reply.get("why") or ""), str(reply.get("next") or "")
    return block(codec, code, message, why, step, f"see `noburn why {call_id}`")


def block(codec: Codec, code: str, *sentences: str) -> Block:
    """A block of these sentences, those that say something, each with a full stop."""
    return codec.block(message=_said(sentences), code=code)


def no_key(codec: Codec, *sentences: str) -> Block:
    """What the provider itself would say to a key that it does not know."""
    return codec.block(message=_said(sentences), code=CODE_NO_KEY, status=401)


def _said(sentences: Sequence[str]) -> str:
    said = [f"{part[0].upper()}{part[1:].rstrip('.')}" for part in sentences if part]
    # Lines to paste stand at the end, and take no full stop.
    end = "" if said[-1].endswith("\n") else "."
    return "noburn: " + ". ".join(said) + end


def failed_closed(route: Route, error: BaseException) -> Block:
    """The block for a failure of our own: the call does not leave."""
    return block(
        route.codec or error_codec(route.api_family),
        CODE_UNAVAILABLE,
        f"call refused: noburn itself failed ({type(error).__name__}: {error})",
        "please report this; the call was not sent",
    )


def refused_here(route: Route, message: str, next_step: str) -> Block:
    """The block for a call that this stack cannot send as it would have to be."""
    codec = route.codec or error_codec(route.api_family)
    return block(codec, CODE_REFUSED, f"call refused: {message}", next_step)
