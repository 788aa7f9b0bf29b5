"""What a budget does about a call that goes beyond it, and when a call does.

Layer: core (pure, standard library, Python 3.10).  Below: nothing.
Above: the daemon's admission and reserving, core.policy_model, `budget`.
Owns: the words for actions, which of them keep a call back, the arithmetic of those that do not.
Not here: balances (noburn_daemon.accounts), how a request gets another model (providers.renaming).

`block` and `kill` are hard: settled + held + new <= limit, whatever happens.  The soft ones let
every call go.  Nothing is clamped for them, so that holds are worst cases that say little about
what is spent: twenty calls in flight, uncapped, hold a hundred times what they will cost.  So a
soft budget goes by what is settled, and takes each call in flight to need as much as the new one
needs at least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

BLOCK, KILL, WARN, DOWNGRADE, BILL = "block", "kill", "warn", "downgrade", "bill"
ACTIONS = (BLOCK, KILL, WARN, DOWNGRADE, BILL)
#: These keep a call back that does not fit; the others never do by themselves.
HARD = frozenset((BLOCK, KILL))
#: In the rules of a budget that downgrades: any model that no rule names.
ANY_MODEL = "*"
#: A block by a rolling budget of at most this length is answered as a provider's own rate limit
#: (HTTP 429); SDKs wait for no longer than a minute by themselves.
RATE_LIMIT_MS_MAX = 60_000


def goes_beyond(least: int, *, capacity: int, settled: int, in_flight: int) -> bool:
    """Whether a call goes beyond a soft budget.

    least: what it needs at least, in the budget's unit, as the calls in flight are taken to.
    capacity: limit, top-ups and what was carried over.
    """
    return settled + (in_flight + 1) * least > capacity


def overage(settled: int, capacity: int) -> int:
    """What was spent beyond a budget that bills."""
    return max(0, settled - capacity)


def rule_for(names: Iterable[str], rules: Mapping[str, str]) -> str | None:
    """The cheaper model that a rule has for a model, or None at the end of the rules.

    names: by which the model may be called, the most exact first.
    """
    for name in names:
        if name in rules:
            return rules[name]
    return rules.get(ANY_MODEL)
