"""What is spent beyond a budget that bills, booked as rows of the journal.

Layer: daemon, pure.  Below: core.actions, accounts, ledger (Event).  Above: book, policy, restore.
Owns: the invariant that an account's rows come to what it is over: max(0, settled - capacity), at
all times; after a late bill, a correction, a top-up or another limit they are brought there by a
row of their own, which may be negative.
Not here: accounts of windows that have passed (accounts.at_end), who pays (nobody yet).

A budget that bills no more, or is removed, has nothing over in the windows that it still counts;
windows that have passed stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from noburn_cli.core.actions import BILL, overage
from noburn_daemon.account import DOLLARS_INDEX, UNITS, Account, key_text
from noburn_daemon.accounts import Accounts
from noburn_daemon.ledger import Event, json_text

KIND = "overage"


def overage_rows(accounts: Iterable[Account], at_ms: int, call: str | None = None) -> list[Event]:
    """The rows that bring accounts to what they are over, which is noted on them.

    call: whose end is the cause, if one is.
    """
    return [row for account in accounts if (row := _row(account, at_ms, call)) is not None]


def rows_without(accounts: Iterable[Account], at_ms: int) -> list[Event]:
    """The rows that take back what running windows are over: their budget bills no more."""
    return [
        row
        for account in accounts
        if (account.end_ms is None or account.end_ms > at_ms)
        and (row := _booked(account, 0, at_ms, None)) is not None
    ]


def _row(account: Account, at_ms: int, call: str | None) -> Event | None:
    if account.budget.row.action != BILL:
        return None
    return _booked(account, overage(account.settled, account.capacity), at_ms, call)


def _booked(account: Account, over: int, at_ms: int, call: str | None) -> Event | None:
    amount = over - account.overage
    if amount == 0:
        return None
    account.overage = over
    return Event(
        0, at_ms, KIND, call=call,
        cost_nano=amount if account.unit_index == DOLLARS_INDEX else None,
        detail=json_text({
            "budget": account.budget.row.id, "account": account.name,
            "key": key_text(account.key), "window_start_ms": account.start_ms,
            "unit": UNITS[account.unit_index], "amount": amount, "total": over,
        }),
    )  # fmt: skip


def replay(accounts: Accounts, event: Event) -> None:
    """Note a row on its account again, after a restart."""
    detail = json.loads(str(event.detail))
    account = accounts.by_place(detail["budget"], detail["key"], detail["window_start_ms"])
    if account is not None:
        account.overage = detail["total"]
