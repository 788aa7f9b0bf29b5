"""What is told outside: the messages, and what became of an attempt to deliver one.

Layer: daemon, pure (given time and randomness).  Below: core.money.  Above: alerts, outbox,
webhook, hook_command, delivering.
Owns: the body of a message, which is documented in docs/notifications.md, and the schedule of
attempts.  A message never holds a prompt, an answer or a key: nothing here has seen one.
Not here: when something is told (alerts), where it waits (outbox).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from noburn_cli.core.money import DOLLARS, Nano
from noburn_daemon.ledger import Notice, json_text

THRESHOLD = "budget.threshold"
BOUND_DEFECT = "bound.defect"
ORPHANED = "calls.orphaned"
UNAVAILABLE = "ledger.unavailable"
RECOVERED = "ledger.recovered"
TEST = "test"

#: Attempts come after 5 s, 10 s, … doubled up to an hour: 34 of them take 24.4 hours.
FIRST_DELAY_MS = 5_000
DELAY_MS_MAX = 3_600_000
ATTEMPTS_MAX = 34
#: A receiver that asks for longer (`retry-after`) is asked again after this.
RETRY_AFTER_MS_MAX = 6 * 3_600_000
FAILURE_CHARS_MAX = 300


@dataclass(frozen=True)
class Outcome:
    """What an attempt came to; failure is empty when it was delivered.

    gone: the receiver wants nothing more.  retry_after_ms: how long it asks us to wait, or 0.
    """

    failure: str = ""
    retry_after_ms: int = 0
    gone: bool = False


def payload_text(kind: str, at_ms: int, data: dict[str, Any]) -> str:
    """A message's body: `type`, `timestamp` and `data`, as Standard Webhooks 1.0.0 recommends.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return json_text({"type": kind, "timestamp": at.replace("+00:00", "Z"), "data": data})


def notices(kind: str, at_ms: int, data: dict[str, Any], channels: tuple[str, ...]) -> list[Notice]:
    """The same message to each channel, each with a key of its own."""
    payload = payload_text(kind, at_ms, data)
    return [Notice(new_key(), at_ms, channel, kind, payload) for channel in channels]


def new_key() -> str:
    """An id that no other message has, of any ledger."""
    return f"msg_{secrets.token_hex(12)}"


def shown_amount(unit: str, amount: int) -> str:
    """An amount for machines: exact dollars, or a count."""
    return Nano(amount).exact() if unit == DOLLARS else str(amount)


def delay_ms(attempts: int, jitter: float) -> int:
    """How long to wait after that many failed attempts.

    jitter: from 0 to 1; spreads the wait by a quarter to either side, so that receivers that came
    back are not met by everybody at once.
    """
    doubled = FIRST_DELAY_MS * 2 ** min(attempts - 1, 20)
    return int(min(doubled, DELAY_MS_MAX) * (0.75 + 0.5 * jitter))


def shown_failure(text: str) -> str:
    """A reason as it is kept: one line, not long, without control characters."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.split())[:FAILURE_CHARS_MAX]
