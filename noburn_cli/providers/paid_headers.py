"""Request headers that change what a call costs.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.call.
Above: the guard, which sees headers; codecs see bodies alone.
Source: InvokeModel in botocore 1.44's `bedrock-runtime` model (checked 2026-11-27).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from noburn_cli.providers.call import Call
from noburn_cli.providers.ceilings import UNKNOWN
from noburn_cli.providers.routes import BEDROCK


class _Paid(NamedTuple):
    """A header by its lower-case name, the values that cost nothing, why others have no bound, and
    the ceiling that would give them one.
    """

    name: str
    harmless: tuple[str, ...]
    why: str
    ceiling: str


_PAID: dict[str, tuple[_Paid, ...]] = {
    BEDROCK: (
        _Paid(
            "x-amzn-bedrock-service-tier",
            ("default",),
            "a service tier in a header, which has no price in the book",
            "service_tier",
        ),
        _Paid(
            "x-amzn-bedrock-performanceconfig-latency",
            ("standard",),
            "optimised latency costs more, by an amount not in the book",
            "service_tier",
        ),
        _Paid(
            "x-amzn-bedrock-guardrailidentifier",
            (),
            "a guardrail bills a fee for the text that it reads",
            UNKNOWN,
        ),
    )
}


def with_headers(call: Call, family: str, headers: Mapping[str, str]) -> Call:
    """The call with what its headers make of it: another part that nothing bounds.

    headers: found by lower-case names.
    """
    for paid in _PAID.get(family, ()):
        value = headers.get(paid.name, "")
        if value and value not in paid.harmless:
            call = replace(
                call,
                unbounded="; ".join(part for part in (call.unbounded, paid.why) if part),
                unbounded_kinds=tuple(dict.fromkeys((*call.unbounded_kinds, paid.ceiling))),
                usage_tells_all=False,  # An answer to an invocation says nothing about them.
            )
    return call
