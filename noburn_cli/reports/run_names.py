"""Which run a person means by `last`, or by the beginning of an id.

Layer: reports, I/O.  Below: reading, errors.  Above: commands.report_asking.
Looked at are the runs that the ledger saw begin; live_runs does the same for those still open.
"""

from __future__ import annotations

from pathlib import Path

from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.reports.reading import reading

#: The word for the run that was started last.
LAST = "last"
_SHOWN_MAX = 5
#: Few rows: only those of runs, and not of calls, are in the index on `run`.
_STARTED = """
    SELECT run FROM journal WHERE run IS NOT NULL AND kind = 'run_start' ORDER BY seq
"""


def named_run(ledger_path: Path, wanted: str) -> str:
    """The run whose id is or begins with `wanted`, or the one started last; else as it was written.

    Raises UsageError when several begin so, NoburnError for `last` without a run,
    LedgerUnavailable.
    """
    if not ledger_path.exists():
        return wanted
    with reading(ledger_path) as connection:
        started = [str(row[0]) for row in connection.execute(_STARTED)]
    if wanted == LAST:
        if not started:
            raise NoburnError(
                "no run has been started yet", next_step="`noburn run -- COMMAND` starts one"
            )
        return started[-1]
    ids = dict.fromkeys(path.rsplit("/", 1)[-1] for path in started)
    found = [one for one in ids if one.startswith(wanted)]
    if wanted in ids or not wanted or not found:
        return wanted
    if len(found) > 1:
        more = ", …" if len(found) > _SHOWN_MAX else ""
        raise UsageError(
            f"several runs begin with {wanted!r}",
            why=", ".join(found[:_SHOWN_MAX]) + more,
            next_step="write more of the id",
        )
    return found[0]
