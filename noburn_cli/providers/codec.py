"""What every provider codec offers: bytes in; Call, Settlement or edited bytes out.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.call.
Owns: the Codec and StreamReader protocols and the small values they hand around.
Not here: which codec a request needs (providers.registry), money (the daemon).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit, urlunsplit

from noburn_cli.providers.call import Call
from noburn_cli.providers.renaming import Addressed

_METHOD = re.compile(r"(:|%3[aA])\w+$")


@dataclass(frozen=True)
class Settlement:
    """What a provider says that a finished call used.

    usage: billed tokens by disjoint kinds (core.usage), zeros left out.
    variant: the price variant that was served: `standard`, `flex`, `priority`, `fast`, `batch`, or
        the provider's own word where we know none (it then has no price, and is never free); with
        the region behind it where the answer says one (core.variants).
    """

    usage: Mapping[str, int]
    variant: str = "standard"
    served_model: str = ""
    provider_id: str = ""


@dataclass(frozen=True)
class CountRequest:
    """A request for the provider's own, free count of a call's input.

    path_suffix: what to append to the path of the call itself.
    replaces_method: the call's path ends in `:method`, which the suffix takes the place of.
    path: of the call, where another one than the program's is sent; "" for the program's.
    """

    path_suffix: str
    body: bytes
    replaces_method: bool = False
    path: str = ""
    #: (virtual, real): keys to exchange in what is sent, or None.
    exchange: tuple[str, str] | None = field(default=None, repr=False)

    def url_of(self, call_url: str) -> str:
        """Where to send it: beside the call itself, with the same query."""
        parts = urlsplit(call_url)
        path = (self.path or parts.path).rstrip("/")
        if self.replaces_method:
            path = _METHOD.sub("", path)
        # `alt` chooses the form of a stream (Google's `alt=sse`); a count has none.
        query = "&".join(one for one in parts.query.split("&") if not one.startswith("alt="))
        return urlunsplit((parts.scheme, parts.netloc, path + self.path_suffix, query, ""))


@dataclass(frozen=True)
class Block:
    """An answer in the provider's own error shape that its SDK raises at once and never retries."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class StreamReader(Protocol):
    """Follows one streamed answer; the same result wherever its bytes are cut.

    settlement: None until the provider has said the final usage.
    ended: the provider has said that the generation is over.
    failed: the provider has reported an error inside the stream.
    """

    settlement: Settlement | None
    ended: bool
    failed: bool

    def receive(self, chunk: bytes) -> bytes:
        """The bytes to hand on: the same, but for an event that the program did not ask for."""

    def pending(self) -> int | None:
        """How many of the bytes that came belong to an event which has not ended yet.

        None when that cannot be told: what follows may still belong to the last event.
        """

    def close(self) -> bytes:
        """The bytes still withheld when the answer has ended or is given up."""


class Codec(Protocol):
    """One API of one provider.  Every method raises InputRefused on garbage, and nothing else."""

    @property
    def api(self) -> str:
        """The codec's name: `openai_chat`, `openai_responses`, `openai_embeddings`, …"""

    def parse(self, body: bytes) -> Call:
        """Everything in a request that decides the most it can cost."""

    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        """The request with the granted cap per choice written in, and usage asked for.

        cap: tokens per choice, or None to leave the caps as they are.
        Everything else keeps its very bytes: order, spacing, numbers.
        """

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        """The same request for another model, named as the server knows it."""

    def asks_usage(self, body: bytes) -> bool:
        """Whether the program will see the usage of a stream anyway (then nothing is stripped)."""

    def usage(self, body: bytes) -> Settlement | None:
        """What a complete answer says it used; None when it says nothing that can be trusted."""

    def stream(self, *, strip_usage: bool) -> StreamReader:
        """A reader for one streamed answer."""

    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        """A refusal as the provider itself would word it."""

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:
        """HTTP 429 as the provider itself would word it; its SDK waits, and tries again.

        unit: what there were too many of, `dollars`, `tokens` or `requests`.
        """

    def stream_error(self, *, message: str, code: str) -> bytes:
        """An in-band event that ends a stream loudly: the SDK raises it as an error."""

    def count_request(self, body: bytes) -> CountRequest | None:
        """How to ask the provider for the exact input of this request, or None."""

    def parse_count(self, body: bytes) -> int:
        """The input tokens in the answer to a count request."""


@runtime_checkable
class Later(Protocol):
    """A codec of calls whose usage is told by another request's answer."""

    def later(self, body: bytes) -> str:
        """The provider's id under which it will be told, from the answer to the call; or ""."""


@runtime_checkable
class Tells(Protocol):
    """A codec of answers that tell what an earlier call used."""

    @property
    def batch(self) -> str:
        """The provider's id of that call."""

    def results(self, body: bytes) -> list[Settlement] | None:
        """What each part of it used, or None while that cannot be told."""
