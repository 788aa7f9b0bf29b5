"""Which open run is meant: what `noburn stop` and `noburn top` ask the daemon for.

Layer: beside run_summary, below the commands.  Below: client.  Never starts a daemon: without one
no run is open.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.client import Client

#: The word for the run that was started last.
LAST = "last"
_SHOWN_MAX = 5

Run = dict[str, Any]


def open_runs(client: Client) -> list[Run]:
    """Every open run, oldest first, as docs/protocol.md describes `run.list`."""
    runs: list[Run] = client.run_list()["runs"]
    return runs


def choose(runs: Sequence[Run], wanted: str) -> Run:
    """The open run whose id or path begins with `wanted`, or the one started last.

    Raises NoburnError for none, UsageError for several.
    """
    if not wanted:
        raise UsageError("the id of the run is empty", next_step="`noburn top` shows the open runs")
    if wanted == LAST and runs:
        return runs[-1]
    exact = [run for run in runs if wanted in (run["run"], run_id(run))]
    found = exact or [
        run for run in runs if run["run"].startswith(wanted) or run_id(run).startswith(wanted)
    ]
    if not found:
        names = ", ".join(run["run"] for run in runs[:_SHOWN_MAX])
        raise NoburnError(
            f"there is no open run {wanted}" if wanted != LAST else "no run is open",
            why=f"open are {names}" if names else "no `noburn run` is under way",
            next_step="`noburn report --by run` lists those that have ended",
        )
    if len(found) > 1 and not _is_one_family(found):
        more = ", …" if len(found) > _SHOWN_MAX else ""
        raise UsageError(
            f"several open runs begin with {wanted!r}",
            why=", ".join(run["run"] for run in found[:_SHOWN_MAX]) + more,
            next_step="write more of the id",
        )
    return min(found, key=lambda run: len(run["run"]))


def run_id(run: Run) -> str:
    """A run's own id, without those it is in."""
    return str(run["run"]).rsplit("/", 1)[-1]


def _is_one_family(runs: Sequence[Run]) -> bool:
    """Whether all of them are below the first: then that one is meant."""
    first = min((str(run["run"]) for run in runs), key=len)
    return all(run["run"] == first or run["run"].startswith(first + "/") for run in runs)


def who() -> str:
    """The person at this terminal, for the receipts of others."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
