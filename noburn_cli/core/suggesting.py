"""A limit from what was spent: sums per value and window, their quantiles, who stands out.

Layer: core (pure).  Below: core.budgets, core.replay_accounts, core.windows.
Above: `noburn budget suggest`.
Owns: which windows count, how a quantile is taken, and what the limit becomes.

Only windows in which a value had calls count, and whole ones before those that are cut off by the
beginning or the end of what was read.  A quantile is the least sum that so many per cent of the
sums do not pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.budgets import Key, Scope, account_keys
from noburn_cli.core.money import DOLLARS, TOKENS, Nano
from noburn_cli.core.replay_accounts import UNITS, Weights
from noburn_cli.core.windows import Window

#: The quantiles that are shown beside the one that was asked for.
SHOWN = (50, 90, 99)
#: A suggested limit keeps so many digits; what comes after them is rounded up.
DIGITS = 2


class Observed:
    """Sums per value and window, as calls come by."""

    def __init__(self, scope: Scope, window: Window, unit: str) -> None:
        self.scope = scope
        self.window = window
        self.unit = unit
        self._index = UNITS.index(unit)
        self._keys: dict[int, list[Key]] = {}
        self._open: dict[str, tuple[Sequence[Key], int, Weights]] = {}
        #: Window's start to what each value came to in it.
        self.sums: dict[int, dict[Key, int]] = {}

    def reserve(
        self, call: str, context: int, attributes: Mapping[str, str], at_ms: int, hold: Weights,
        *, notional: bool = False,
    ) -> None:  # fmt: skip
        """A call that was let go.  context: stands for the attributes.

        notional: a subscription pays for it, so that it costs no dollars.
        """
        if context not in self._keys:
            self._keys[context] = account_keys(self.scope, self.window.per, attributes)
        keys = self._keys[context]
        if keys and not (notional and self.unit == DOLLARS):
            self._open[call] = (keys, self.window.bounds(at_ms)[0], hold)

    def settle(self, call: str, cost: Weights) -> None:
        """Its bill."""
        keys, start_ms, _ = self._open.pop(call, ((), 0, cost))
        for key in keys:
            by_key = self.sums.setdefault(start_ms, {})
            by_key[key] = by_key.get(key, 0) + cost[self._index]

    def void(self, call: str) -> None:
        """It never left: there was no call."""
        self._open.pop(call, None)

    def finish(self) -> None:
        """Calls whose bill is not known count at their holds."""
        for call, (_, _, hold) in list(self._open.items()):
            self.settle(call, hold)


@dataclass(frozen=True)
class Outlier:
    """A value that went beyond the suggested limit: in how many of its windows, and how far.

    own: what its own limit could be: its most, with headroom.
    """

    key: Key
    beyond: int
    windows: int
    most: int
    own: int


@dataclass(frozen=True)
class Suggestion:
    """A limit, and what it rests on.  Amounts in the unit.

    windows: sums of one value in one window.  blocked: how many of them the limit would have cut.
    quantiles: per cent to amount.  is_cut: whether only windows that are not whole were there.
    """

    limit: int
    values: int
    windows: int
    blocked: int
    quantiles: Mapping[int, int]
    most: int
    most_of: Key
    outliers: tuple[Outlier, ...]
    is_cut: bool


def suggest(
    observed: Observed, *, quantile: int, headroom: Fraction, since_ms: int, until_ms: int
) -> Suggestion | None:
    """A limit that the quantile of what was seen fits, with headroom; None when nothing was seen.

    quantile: 1 to 100 per cent.  since_ms, until_ms: what was read, whose ends cut windows off.
    """
    whole = {
        start: by_key
        for start, by_key in observed.sums.items()
        if start >= since_ms and _ends(observed.window, start) <= until_ms
    }
    used = whole or observed.sums
    pairs = [(amount, key) for by_key in used.values() for key, amount in by_key.items()]
    if not pairs:
        return None
    amounts = sorted(amount for amount, _ in pairs)
    at_quantile = _quantile(amounts, quantile)
    limit = max(1, _rounded_up(at_quantile * headroom))
    most, most_of = max(pairs)
    shown = {q: _quantile(amounts, q) for q in sorted({*SHOWN, quantile})}
    return Suggestion(
        limit=limit,
        values=len({key for _, key in pairs}),
        windows=len(pairs),
        blocked=sum(amount > limit for amount in amounts),
        quantiles=shown,
        most=most,
        most_of=most_of,
        outliers=tuple(_outliers(used.values(), limit, headroom)),
        is_cut=not whole,
    )


def _ends(window: Window, start_ms: int) -> int:
    end_ms = window.bounds(start_ms)[1]
    return 0 if end_ms is None else end_ms


def _quantile(ordered: Sequence[int], percent: int) -> int:
    """The nearest rank: the least that so many per cent do not pass."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def _rounded_up(amount: Fraction) -> int:
    whole = -(-amount.numerator // amount.denominator)
    step: int = 10 ** max(0, len(str(whole)) - DIGITS)
    return -(-whole // step) * step


def _outliers(
    windows: Iterable[Mapping[Key, int]], limit: int, headroom: Fraction
) -> Iterable[Outlier]:
    """Values that went beyond the limit, the farthest first."""
    by_key: dict[Key, list[int]] = {}
    for amounts in windows:
        for key, amount in amounts.items():
            by_key.setdefault(key, []).append(amount)
    found = [
        Outlier(
            key, sum(one > limit for one in sums), len(sums), most, _rounded_up(most * headroom)
        )
        for key, sums in by_key.items()
        if (most := max(sums)) > limit
    ]
    return sorted(found, key=lambda one: (-one.most, one.key))


def written_limit(unit: str, amount: int) -> str:
    """A limit as a policy file has it: `$2.6`, `1500000tok`, `60req`."""
    if unit == DOLLARS:
        return f"${Nano(amount).exact()}"
    return f"{amount}{'tok' if unit == TOKENS else 'req'}"
