"""A request as the guard reads it: whose codec, which call; and the same one for a cheaper model.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: providers, policy.
Above: guard, which refuses what nothing bounds; reserving, which asks for money.
Not here: which model, and why (the daemon, by the rules of a budget that downgrades).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from noburn_cli.core.variants import certain, with_region
from noburn_cli.enforce.decisions import Request
from noburn_cli.enforce.policy import policy
from noburn_cli.errors import InputRefused
from noburn_cli.providers import paid_headers
from noburn_cli.providers.call import Call
from noburn_cli.providers.codec import Codec
from noburn_cli.providers.registry import GUARD, Route, Upstream, recognise


@dataclass(frozen=True)
class Asked:
    """A call as it is to be sent: to which URL, with which body, bounded as `call` says."""

    request: Request
    upstreams: Sequence[Upstream]
    route: Route
    codec: Codec
    call: Call
    url: str
    body: bytes

    @property
    def moved_to(self) -> str | None:
        """The URL to send to, where it is another one than the program's."""
        return None if self.url == self.request.url else self.url


def read(request: Request, upstreams: Sequence[Upstream], route: Route, codec: Codec) -> Asked:
    """Read a request as the program made it.  Raises InputRefused."""
    return _read(request, upstreams, route, codec, request.url, request.body)


def for_model(asked: Asked, model: str) -> Asked:
    """The same call for another model, in the price book's words.

    Raises InputRefused where the request cannot be one for it.
    """
    name = asked.route.requested(model, instead_of=asked.call.model)
    url, body = asked.codec.with_model(asked.url, asked.body, name)
    route = recognise(asked.request.method, url, asked.upstreams, body=body)
    if route.kind != GUARD or route.codec is None or route.codec.api != asked.codec.api:
        raise InputRefused(f"a request for {model[:80]} would not be one of {asked.codec.api}")
    changed = _read(asked.request, asked.upstreams, route, route.codec, url, body)
    if changed.call.unbounded and not has_ceilings(changed.call):
        raise InputRefused(changed.call.unbounded)
    return changed


def has_ceilings(call: Call) -> bool:
    """Whether the policy sets something aside for every part that nothing bounds."""
    ceilings = policy().ceilings
    return bool(call.unbounded_kinds) and all(name in ceilings for name in call.unbounded_kinds)


def _read(
    request: Request, upstreams: Sequence[Upstream], route: Route, codec: Codec, url: str,
    body: bytes,
) -> Asked:  # fmt: skip
    call = codec.parse(body)
    if call.model:
        call = replace(call, model=route.qualified(call.model))
    region = route.region_of(call.model)
    if region:
        sure = (variant for variant in call.variants if certain(variant)[1])
        regional = tuple(with_region(variant, region) for variant in sure)
        call = replace(call, variants=regional)
    call = paid_headers.with_headers(call, route.api_family, request.headers)
    return Asked(request, upstreams, route, codec, call, url, body)
