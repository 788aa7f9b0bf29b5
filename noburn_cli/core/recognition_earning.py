"""One amount that is earned over days, and what was taken back of it on the way.

Layer: core (pure).  Below: core.recognition_days.  Above: core.recognition.
Owns: the rule by which a refund, a credit note or a dispute is recognised.

Let an amount have a curve (its service period, or the days it was used on).  Then, on the day of a
change:
- what is taken back comes first out of what is not earned yet; only what goes beyond that lowers
  what was earned, on that day.  The rest is earned over the days that are left, by the same curve.
- what is given back (a dispute that was won) is earned at once up to where the curve stands that
  day, and over the days that are left beyond it.
So what is earned is between nothing and what the customer owes or has paid, at every day, and is
exactly that once the curve has ended.  A refund of what a cancelled month has left lowers no day
that was served.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from noburn_cli.core.recognition_days import Curve, half_even


@dataclass(frozen=True)
class Change:
    """What was taken back (below 0) or given back (above 0) on a day.

    kind: as the fact that says so has it, such as `refund`.  In nano-dollars.
    """

    day: int
    nano: int
    kind: str


@dataclass(frozen=True)
class _Stretch:
    """From a day on: what was earned before it, and what is earned by the curve from it on."""

    earned: int
    left: int
    weight_before: int
    weight_left: int


class Earning:
    """What is earned of one amount, day by day.  Whole nano-dollars; sums are exact.

    nano: the amount, of any sign.  changes: those of one day in the order of their moments.
    """

    def __init__(self, nano: int, curve: Curve, changes: Sequence[Change] = ()) -> None:
        self.nano = nano
        self.curve = curve
        self._whole = curve.through(curve.last)
        self._days = [0]
        self._stretches = [self._stretch(0, 0, nano)]
        #: What changes did to what was earned already: (day, nano, kind).
        self.jumps: list[Change] = []
        owed = nano
        for change in sorted((one for one in changes if one.nano), key=lambda one: one.day):
            owed += change.nano
            # A second change of a day begins where the first one left off.
            again = change.day == self._days[-1]
            earned = self._stretches[-1].earned if again else self.through(change.day - 1)
            settled = self._after(change, earned, owed)
            if settled != earned:
                self.jumps.append(Change(change.day, settled - earned, change.kind))
            self._days.append(change.day)
            self._stretches.append(self._stretch(change.day, settled, owed - settled))
        self.owed = owed

    def _after(self, change: Change, earned: int, owed: int) -> int:
        """What is earned by the time of a change, before its own day earns anything."""
        if self.curve.last < change.day:
            return owed
        if (change.nano < 0) == (self.nano > 0):  # taken back
            return min(earned, owed) if self.nano > 0 else max(earned, owed)
        due = half_even(owed * self.curve.through(change.day - 1), self._whole)
        return max(earned, due) if self.nano > 0 else min(earned, due)

    def _stretch(self, day: int, earned: int, left: int) -> _Stretch:
        before = self.curve.through(day - 1)
        return _Stretch(earned, left, before, self._whole - before)

    def through(self, day: int) -> int:
        """What is earned up to and including a day."""
        found = self._stretches[bisect_right(self._days, day) - 1]
        if not found.left:
            return found.earned
        weight = self.curve.through(day) - found.weight_before
        return found.earned + half_even(found.left * weight, found.weight_left)

    @property
    def begins(self) -> int:
        """The first day on which anything is earned or taken back."""
        return min((self.curve.first, *self._days[1:]))

    @property
    def ends(self) -> int:
        """The last day on which anything is earned or taken back."""
        return max(self.curve.last, self._days[-1])
