"""What a window hands on to the next: carry-over between the accounts of one budget and key.

Layer: daemon, pure.  Below: account.  Above: accounts.
Owns: which account comes after which, how much is carried, and for how long a window that is over
still has a say.
Not here: the rows of the journal (book writes one for each amount), what is stored (account).

An account carries into the next window what it has left, up to the budget's `carry`.  What is held
counts as spent; what is released later is carried then, so that nothing is lost, and a bill above
its hold takes back what was carried.  Windows without a call carry on as if there had been none
to carry for: limit and carried amount are left whole.  A correction of an ended call counts until
the following window is over, and changes nothing afterwards.  A budget's own account carries from
when it was set, one of a family from the first window on that something was in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noburn_cli.core.budgets import Key
from noburn_daemon.account import Account

#: Hears of an amount that was carried: the account, how much more it is, and when.
OnCarry = Callable[[Account, int, int], None]


class Carrying:
    """The newest account of each key, of budgets that carry over."""

    def __init__(self) -> None:
        self._newest: dict[tuple[int, Key], Account] = {}
        self.on_carry: OnCarry = lambda _account, _amount, _at_ms: None

    def begin(self, account: Account, *, stored: bool = False) -> Account | None:
        """Take note of the account of a window; the one that it comes after, if it has one.

        stored: whether both are as they were stored, without the calls in flight.
        """
        place = (account.budget.row.id, account.key)
        before = self._newest.get(place)
        if before is not None and before.start_ms >= account.start_ms:
            return None
        self._newest[place] = account
        if before is None or not (stored or _has_begun(before)):
            return None
        before.after, account.before = account, before
        account.begun = True
        return before

    def hand_on(self, account: Account, now_ms: int) -> Iterator[Account]:
        """Carry anew what follows from an account that is over; those that it changed."""
        while account.after is not None:
            following = account.after
            more = carried_into(account, following.start_ms) - following.carried
            if more == 0:
                return
            following.carried += more
            yield following
            self.on_carry(following, more, now_ms)
            account = following

    def keeps(self, account: Account, now_ms: int) -> bool:
        """Whether an account whose window is over still has something to say."""
        if self._newest.get((account.budget.row.id, account.key)) is account:
            return account.cap > 0 and _has_begun(account)
        after = account.after
        return account.before is not None or (
            after is not None and after.end_ms is not None and after.end_ms > now_ms
        )

    def forget(self, account: Account) -> None:
        """An account is dropped."""
        place = (account.budget.row.id, account.key)
        if self._newest.get(place) is account:
            del self._newest[place]
        if account.after is not None:
            account.after.before = None
        if account.before is not None:
            account.before.after = None

    def over(self, now_ms: int) -> Iterator[Account]:
        """The newest accounts whose windows are over, and that carry on: the next is not begun."""
        for account in list(self._newest.values()):
            is_over = account.end_ms is not None and account.end_ms <= now_ms
            if is_over and self.keeps(account, now_ms):
                yield account


def _has_begun(account: Account) -> bool:
    """Whether an account carries on: one of a family does when something was in it."""
    return (
        account.begun
        or not account.budget.scope.is_family
        or account.in_flight > 0
        or any((account.settled, account.topup))
    )


def carried_into(account: Account, start_ms: int) -> int:
    """What an account carries into a later window that begins then, over those in between."""
    left = account.capacity - account.settled - account.held + account.ignored
    amount = min(account.cap, max(0, left))
    at_ms = account.end_ms
    assert at_ms is not None  # only windows that end carry over
    while at_ms < start_ms and amount < account.cap and account.limit > 0:
        amount = min(account.cap, amount + account.limit)
        following = account.budget.window.bounds(at_ms)[1]
        assert following is not None
        at_ms = following
    return amount


def comes_too_late(account: Account, now_ms: int) -> bool:
    """Whether the window after an account's is over too: corrections change nothing any more."""
    if account.end_ms is None or now_ms < account.end_ms:
        return False
    following = account.budget.window.bounds(account.end_ms)[1]
    return following is not None and following <= now_ms
