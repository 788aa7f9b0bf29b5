"""A budget in force, and one account of it: its numbers.

Layer: daemon, pure (given now_ms).  Below: core.budgets, core.windows, rolling, ledger (rows).
Above: accounts, admission, calls, replies and all who look at balances.
Owns: what an account holds, has settled and may hold; how it is stored.
Not here: which accounts a call is charged to, and when windows end (accounts).
"""

from __future__ import annotations

import json

from noburn_cli.core.actions import HARD, KILL, RATE_LIMIT_MS_MAX
from noburn_cli.core.budgets import Key, Scope, budget_name, margin_floor, parse_scope
from noburn_cli.core.windows import CALL, Window, rolling_ms
from noburn_daemon.ledger import AccountRow, BudgetRow
from noburn_daemon.rolling import NEVER_MS, Ring

UNITS = ("dollars", "tokens", "requests")
DOLLARS_INDEX = 0

#: When to look again where only calls in flight are in the way.
_IN_FLIGHT_MS = 1000

#: What a call weighs in each unit: (nano-dollars, tokens, requests), by UNITS' order.
Weights = tuple[int, int, int]


class Budget:
    """A scope, a window, a limit."""

    __slots__ = ("floor", "is_ceiling", "is_hard", "length_ms", "name", "row", "scope",
                 "unit_index", "window")  # fmt: skip

    def __init__(self, row: BudgetRow) -> None:
        self.scope: Scope = parse_scope(row.scope)
        self.name = budget_name(self.scope, row.per, row.unit)
        self.unit_index = UNITS.index(row.unit)
        self.window = Window(row.per, row.zone, row.anchor)
        #: The margin in per cent that it watches, and that is all it does; None for a real budget.
        self.floor = margin_floor(self.scope.keys)
        #: Of a window that rolls, else None.
        self.length_ms = rolling_ms(row.per)
        #: Whether it limits each call by itself, and adds up nothing.
        self.is_ceiling = row.per == CALL
        self.change(row)

    def change(self, row: BudgetRow) -> None:
        """Take over another limit or action; scope, window and unit are the same."""
        self.row = row
        self.is_hard = row.action in HARD


class Account:
    """One budget's balance for one set of values in one window, in the budget's unit.

    capacity: limit, top-ups, and what was carried over.  limit: the budget's, or of a window that
    is over what it was in the end.  plain: whether an amount that is settled concerns nothing but
    the balance.  cap: the most that is carried into the next window; before, after: the windows
    it was carried from and into; ignored: corrections that came too late for that; begun:
    whether it carries on whatever is in it, because a call was in flight when its window ended,
    or because it came after another.
    """

    __slots__ = (
        "_carried", "_topup", "after", "alert_at", "before", "begun", "budget", "cap", "capacity",
        "end_ms", "held", "ignored", "in_flight", "is_ceiling", "key", "limit", "name", "next_ms",
        "notified", "overage", "plain", "ring", "settled", "start_ms", "unit_index", "waiting",
    )  # fmt: skip

    def __init__(self, budget: Budget, key: Key, start_ms: int, end_ms: int | None) -> None:
        self.budget = budget
        self.key = key
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.unit_index = budget.unit_index
        self.is_ceiling = budget.is_ceiling
        self.ring = None if budget.length_ms is None else Ring(budget.length_ms)
        self.settled = 0
        self.held = 0
        self.in_flight = 0  # open holds
        self.waiting = 0  # waiters that this account keeps waiting
        self.notified = 0  # the highest threshold that was told, in percent
        self.overage = 0  # what was booked beyond a budget that bills
        self.name = budget_name(Scope(key), budget.row.per, budget.row.unit)
        self.next_ms = NEVER_MS  # when a rolling account is looked at next
        self._topup = 0
        self._carried = 0
        self.cap = 0
        self.ignored = 0
        self.begun = False
        self.before: Account | None = None
        self.after: Account | None = None
        self.follow(budget.row)

    def follow(self, row: BudgetRow) -> None:
        """Take over what the budget says now."""
        self.limit = row.amount
        self.refresh()

    def refresh(self) -> None:
        """Add up the capacity again."""
        row = self.budget.row
        self.capacity = self.limit + self._topup + self._carried
        self.plain = self.cap == 0 and self.ring is None and not row.thresholds
        #: What is settled when the next threshold is crossed.
        self.alert_at = NEVER_MS
        for percent in row.thresholds:  # in order
            if percent > self.notified:
                self.alert_at = self._reached_at(percent)
                break

    def _reached_at(self, percent: int) -> int:
        """What is settled when a percentage of the capacity is reached; nothing reaches none."""
        return max(1, -(-self.capacity * percent // 100))

    def reaches(self, percent: int) -> bool:
        return self.settled >= self._reached_at(percent)

    @property
    def topup(self) -> int:
        return self._topup

    @topup.setter
    def topup(self, amount: int) -> None:
        self._topup = amount
        self.refresh()

    @property
    def carried(self) -> int:
        return self._carried

    @carried.setter
    def carried(self, amount: int) -> None:
        self._carried = amount
        self.refresh()

    @property
    def available(self) -> int:
        return self.capacity - self.settled - self.held

    def settle(self, amount: int, *, reserved_at_ms: int, now_ms: int) -> None:
        """Add what an ended call was charged, or a correction of it."""
        if self.ring is None or self.ring.add(reserved_at_ms, now_ms, settled=amount):
            self.settled += amount

    def top_up(self, amount: int, now_ms: int) -> None:
        """Add to the capacity, for as long as the window is."""
        if self.ring is not None:
            self.ring.add(now_ms, now_ms, topup=amount)
        self.topup += amount

    def expire(self, now_ms: int) -> None:
        """Let go of what has left a rolling window."""
        if self.ring is not None:
            settled, topup = self.ring.expire(now_ms)
            self.settled -= settled
            if topup:
                self.topup -= topup
            if self.notified and not self._reaches_any():
                self.notified = 0
                self.refresh()

    def _reaches_any(self) -> bool:
        thresholds = self.budget.row.thresholds
        return bool(thresholds) and self.reaches(thresholds[0])

    def lacks_at(self, needed: int, until_ms: int) -> bool:
        """Whether so much would not fit at a moment, even if nothing in flight cost anything."""
        left = self.capacity - self.settled
        if self.ring is not None:
            left += self.ring.returned_by(until_ms)
        return left < 0 or needed > left

    def fits_ms(self, needed: int) -> int | None:
        """When so much would fit, as far as the window decides it; None for never.

        Of a window of the calendar, when it ends.
        """
        if self.ring is None:
            return self.end_ms
        lacking = max(needed, 0) - self.available
        return self.ring.fits_ms(lacking) if lacking > 0 else None

    @property
    def is_rate_limit(self) -> bool:
        """Whether its window is as short as those of a provider's own rate limits."""
        length_ms = self.budget.length_ms
        return length_ms is not None and length_ms <= RATE_LIMIT_MS_MAX

    def retry_after_ms(self, needed: int, now_ms: int) -> int | None:
        """How long to wait before so much may fit a rate limit; None where it is none, or never
        will.
        """
        if not self.is_rate_limit or needed > self.capacity or self.budget.row.action == KILL:
            return None
        at_ms = self.fits_ms(needed)
        # SDKs listen to a minute at most; a window leaves late rather than early.
        return _IN_FLIGHT_MS if at_ms is None else max(1, min(at_ms - now_ms, RATE_LIMIT_MS_MAX))

    @property
    def resets_at_ms(self) -> int | None:
        """When there is more again: the window ends, or its next bucket leaves."""
        if self.ring is None:
            return self.end_ms
        return self.ring.next_ms if self.ring else None


def key_text(key: Key) -> str:
    """An account's values as stored: JSON, because a value may hold any character."""
    return json.dumps(key, separators=(",", ":"), ensure_ascii=False)


def key_from_text(text: str) -> Key:
    """The reverse of key_text."""
    return tuple((name, value) for name, value in json.loads(text))


def account_row(account: Account) -> AccountRow:
    return AccountRow(
        budget=account.budget.row.id,
        key=key_text(account.key),
        window_start_ms=account.start_ms,
        topup=account.topup,
        settled=account.settled,
        carried=account.carried,
        notified=account.notified,
        overage=account.overage,
        buckets=_kept(account),
    )


def _kept(account: Account) -> str | None:
    """What an account has besides its balance: its buckets, or what it carries on by."""
    if account.ring is not None:
        return account.ring.text()
    if account.cap or account.before is not None:
        return json.dumps([account.limit, account.cap, account.ignored, account.begun])
    return None


def fill(account: Account, row: AccountRow) -> None:
    """Give an account the balance that was stored; what is held is added by the open holds."""
    account.settled = row.settled
    account.topup = row.topup
    account.carried = row.carried
    account.notified = row.notified
    account.overage = row.overage
    if row.capacity is not None:  # Its window has passed: a limit that came later is not its own.
        account.limit = row.capacity - row.topup - row.carried
    if account.ring is not None and row.buckets is not None:
        account.settled, account.topup = account.ring.read(row.buckets)
    elif row.buckets is not None:
        account.limit, account.cap, account.ignored, account.begun = json.loads(row.buckets)
    account.refresh()
