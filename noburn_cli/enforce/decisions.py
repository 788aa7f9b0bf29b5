"""What a hook brings to the guard, what the guard asks for meanwhile, and what it decides.

Layer: enforce, injected (standard library, Python 3.10), plain values.  Below: outcome (Tracker).
Above: guard and reserving, which make them; drivers and the hooks, which carry them out.
Not here: how it is decided (guard), what a block says (blocks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from noburn_cli.enforce.outcome import Outcome, Tracker
from noburn_cli.providers.codec import Block, CountRequest


class Request:
    """An HTTP request as the guard sees it.  `headers` by lower-case name."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body


class AskDaemon:
    """Step: send a frame to the daemon; the answer is its reply, or an Unavailable is thrown in."""

    __slots__ = ("fields", "op")

    def __init__(self, op: str, fields: dict[str, Any]) -> None:
        self.op = op
        self.fields = fields


class AskProvider:
    """Step: send the provider's free count request; the answer is its body, or None."""

    __slots__ = ("request",)

    def __init__(self, request: CountRequest) -> None:
        self.request = request


class FindAnswer:
    """Step: look for the next kept answer; the answer is an answers.Answer, or None.

    test: whose.  key: of the request, by answer_keys.request_key.
    """

    __slots__ = ("key", "test")

    def __init__(self, test: str, key: str) -> None:
        self.test = test
        self.key = key


class Deliver:
    """Step: tell the daemon how a call ended that was never sent, as the hooks do of the others."""

    __slots__ = ("outcome",)

    def __init__(self, outcome: Outcome | None) -> None:
        self.outcome = outcome


class Pass:
    """Decision: this request is none of ours, or costs nothing.

    exchange: (virtual, real), to be put in by credentials.swapped; None leaves it as it is.
    """

    __slots__ = ("exchange",)

    def __init__(self, exchange: tuple[str, str] | None = None) -> None:
        self.exchange = exchange


class Refuse:
    """Decision: answer with this; nothing is sent.  A block, or an answer that was kept."""

    __slots__ = ("block",)

    def __init__(self, block: Block) -> None:
        self.block = block


class Send:
    """Decision: send this body, and tell the tracker how it ends.

    exchange: (virtual, real), to be put in by credentials.swapped; None leaves the key as it is.
    url: where to, where that is not the program's own URL: another model's; with the same query.
    warnings: what a person should know of budgets that only warn, or ask for a cheaper model.
    """

    __slots__ = ("body", "exchange", "tracker", "url", "warnings")

    def __init__(
        self, body: bytes, tracker: Tracker, exchange: tuple[str, str] | None = None,
        *, url: str | None = None, warnings: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.body = body
        self.tracker = tracker
        self.exchange = exchange
        self.url = url
        self.warnings = warnings


Step = AskDaemon | AskProvider | FindAnswer | Deliver
Decision = Pass | Refuse | Send
PASS = Pass()
