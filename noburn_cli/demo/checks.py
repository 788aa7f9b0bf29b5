"""What the demo promises, checked: our books against a bill that knows nothing of us.

Layer: demo.  Below: ledger_file, reports.verify, demo.stub_bill (for its type).  Above: scenes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.core.money import Nano
from noburn_cli.demo.stub_bill import BilledCall
from noburn_cli.ledger_file import open_ledger
from noburn_cli.reports.verify import verify_ledger

_RUNS = """
    SELECT r.run, r.limit_amount,
      (SELECT coalesce(sum(coalesce(c.cost_nano, c.hold_nano)), 0) FROM calls AS c
       WHERE c.run = r.run AND c.state NOT IN ('blocked', 'refused')),
      (SELECT count(*) FROM calls AS c WHERE c.run = r.run AND c.state = 'settled'),
      (SELECT count(*) FROM calls AS c WHERE c.run = r.run AND c.state = 'blocked'),
      (SELECT count(*) FROM calls AS c WHERE c.run = r.run AND c.clamped AND c.state = 'settled')
    FROM runs AS r ORDER BY r.started_at_ms
"""
_SETTLED = "SELECT provider_id, cost_nano FROM calls WHERE state = 'settled'"
_OPEN = "SELECT count(*) FROM calls WHERE state IN ('held', 'uncertain', 'orphaned')"


@dataclass(frozen=True)
class Check:
    """One promise: what it says, the two numbers, whether it holds."""

    says: str
    shown: str
    holds: bool


@dataclass(frozen=True)
class RunBooks:
    """One run as the ledger has it; charged_nano counts what is still held as spent."""

    run: str
    limit_nano: int
    charged_nano: int
    settled: int
    blocked: int
    clamped: int


@dataclass(frozen=True)
class Books:
    """What the ledger says at the end.

    settled: (the provider's id, cost in nano-dollars) of every settled call.
    open_calls: calls without a bill.
    """

    runs: tuple[RunBooks, ...]
    settled: tuple[tuple[str | None, int], ...]
    open_calls: int


def read_books(ledger_path: Path) -> Books:
    """Read the demo's ledger.  Raises LedgerUnavailable."""
    connection = open_ledger(ledger_path)
    try:
        with connection:
            runs = tuple(RunBooks(*row) for row in connection.execute(_RUNS))
            settled = tuple(tuple(row) for row in connection.execute(_SETTLED))
            open_calls = int(next(iter(connection.execute(_OPEN)))[0])
    finally:
        connection.close()
    return Books(runs, settled, open_calls)


def check_books(books: Books, billed: Sequence[BilledCall]) -> list[Check]:
    """Settled within each limit, and equal to the provider's bill, in all and call by call."""
    checks = [_within_limit(run) for run in books.runs]
    ours = sum(cost for _, cost in books.settled)
    theirs = sum(call.nano for call in billed)
    checks.append(
        Check(
            "our books = the provider's bill", f"{_exact(ours)} = {_exact(theirs)}", ours == theirs
        )
    )
    mine = sorted((str(call), cost) for call, cost in books.settled)
    bill = sorted((call.request_id, call.nano) for call in billed)
    equal = len(_common(mine, bill))
    checks.append(
        Check(
            "the same, call by call", f"{equal} of {len(bill)} equal", mine == bill and bool(bill)
        )
    )
    checks.append(
        Check("no call without its bill", f"{books.open_calls} open", books.open_calls == 0)
    )
    return checks


def check_chain(ledger_path: Path) -> Check:
    """What `noburn ledger verify` says: every link, every text, every balance."""
    verdict = verify_ledger(ledger_path)
    shown = f"{verdict.rows} rows, {verdict.accounts} balances made again"
    return Check("the ledger's chain and balances", shown, verdict.holds)


def _within_limit(run: RunBooks) -> Check:
    return Check(
        "settled <= limit",
        f"{_exact(run.charged_nano)} <= {_exact(run.limit_nano)}, run {run.run}",
        0 < run.charged_nano <= run.limit_nano,
    )


def _common(
    ours: Iterable[tuple[str, int]], theirs: Iterable[tuple[str, int]]
) -> set[tuple[str, int]]:
    return set(ours) & set(theirs)


def _exact(nano: int) -> str:
    return f"${Nano(nano).exact()}"
