"""What a call used, by the kinds that providers bill.

Layer: core (pure, standard library, Python 3.10).  Below: nothing.  Above: everything.
Owns: the list of kinds.  Not here: what a kind costs (core.pricebook).

The kinds are disjoint: a token is billed as exactly one of them.  A cached input token is
`cache_read` and not also `input`.  `reasoning` is the one exception: it tells how many of the
`output` tokens nobody saw, and is never priced on its own.
"""

from __future__ import annotations

from collections.abc import Mapping

INPUT = "input"
CACHE_READ = "cache_read"
CACHE_WRITE_5M = "cache_write_5m"
CACHE_WRITE_1H = "cache_write_1h"
OUTPUT = "output"
REASONING = "reasoning"

#: Kinds that carry a price, each counted in tokens.
PRICED_KINDS = (INPUT, CACHE_READ, CACHE_WRITE_5M, CACHE_WRITE_1H, OUTPUT)
#: Kinds that fill the context window; tiers are decided by their sum.
INPUT_KINDS = (INPUT, CACHE_READ, CACHE_WRITE_5M, CACHE_WRITE_1H)
KINDS = (*PRICED_KINDS, REASONING)

#: Tokens by kind, each >= 0; a missing kind is 0.
Usage = Mapping[str, int]


def input_total(usage: Usage) -> int:
    """All tokens that went in, cached or not."""
    return sum(usage.get(kind, 0) for kind in INPUT_KINDS)


def billed_total(usage: Usage) -> int:
    """All billed tokens, in and out; what a token budget counts."""
    return input_total(usage) + usage.get(OUTPUT, 0)


def checked(usage: Mapping[str, object]) -> dict[str, int]:
    """Return `usage` as whole non-negative counts of known kinds, zeros left out.

    Raises ValueError naming the first kind that is unknown or not a count.
    """
    counts: dict[str, int] = {}
    for kind, count in usage.items():
        if kind not in KINDS:
            raise ValueError(f"unknown kind of usage {kind!r}")
        if type(count) is not int or count < 0:
            raise ValueError(f"{kind} is not a whole number of tokens: {count!r}")
        if count:
            counts[kind] = count
    return counts
