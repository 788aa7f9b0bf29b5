"""`noburn stop`: no call of a run goes any more, its streams are cut, its processes are ended.

Layer: commands.  Below: client, live_runs, enforce.survivors.
The daemon bars the run; its supervisor (`noburn run`) hears so and ends the process group; what
left the group is named here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.client import Client

JSON_VERSION = 1
#: How long the end of a run is waited for, in seconds: the supervisor's grace, and as much again.
END_S = 6.0
_LOOK_S = 0.05


def stop_command(
    run: Annotated[
        str | None,
        typer.Argument(
            help="The run's id, or its beginning; `last` is the one started last.",
            metavar="[RUN]",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Stop every open run.")] = False,
    reason: Annotated[
        str, typer.Option(help="Why, for the receipt of the run.", metavar="TEXT")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Stop a run: no more calls, streams cut, every process ended."""
    from noburn_cli.client import Client
    from noburn_cli.live_runs import choose, open_runs, who

    if (run is None) != everything:
        raise UsageError(
            "say which run is to be stopped" if run is None else "RUN and --all exclude each other",
            next_step="`noburn stop last`, `noburn stop RUN` or `noburn stop --all`",
        )
    with Client(start_daemon=False) as client:
        runs = open_runs(client)
        wanted = _outermost(runs) if run is None else [choose(runs, run)]
        if not wanted:
            raise NoburnError("no run is open", next_step="`noburn report --by run` lists all")
        for chosen in wanted:
            reply = client.run_stop(run=chosen["run"], reason=reason, by=who())
            chosen.update(message=reply["message"], open=reply["open"])
        open_still = _wait(client, {str(chosen["run"]) for chosen in wanted})
    results = [_result(chosen, ended=chosen["run"] not in open_still) for chosen in wanted]
    if as_json:
        from noburn_cli.render.jsonout import print_json

        print_json("stop", JSON_VERSION, {"runs": results})
    else:
        typer.echo("\n".join(line for result in results for line in _lines(result)))
    if open_still:
        raise typer.Exit(1)


def _outermost(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that are in no other open one: stopping them stops all."""
    paths = [str(run["run"]) for run in runs]
    return [
        run for run in runs if not any(str(run["run"]).startswith(path + "/") for path in paths)
    ]


def _wait(client: Client, paths: set[str]) -> set[str]:
    """Those of the runs that are still open when their supervisors have had their time."""
    deadline = time.monotonic() + END_S
    while True:
        still = paths & {str(run["run"]) for run in client.run_list()["runs"]}
        if not still or time.monotonic() >= deadline:
            return still
        time.sleep(_LOOK_S)


def _result(run: dict[str, Any], *, ended: bool) -> dict[str, Any]:
    from noburn_cli.core.money import Nano
    from noburn_cli.enforce.survivors import find_survivors

    return {
        "run": run["run"],
        "message": run["message"],
        "ended": ended,
        "supervisor_pid": run["owner_pid"],
        "calls": run["calls"],
        "calls_in_flight": run["open"],
        "cost_usd": Nano(run["cost_nano"]).exact(),
        # Nobody of the run's own group is left; with another one, it left.
        "survivors": find_survivors(run["run"], group=0) if ended else [],
    }


def _lines(result: dict[str, Any]) -> list[str]:
    in_flight = result["calls_in_flight"]
    lines = [result["message"]]
    if in_flight:
        calls = "1 call was" if in_flight == 1 else f"{in_flight:,} calls were"
        lines.append(f"  {calls} in flight: charged in full where the bill stays unknown")
    if not result["ended"]:
        pid = result["supervisor_pid"]
        lines.append(f"  its processes have not ended yet: `noburn run` is process {pid}")
    if result["survivors"]:
        named = ", ".join(result["survivors"])
        lines.append(f"  still running, without money: {named}")
    return lines
