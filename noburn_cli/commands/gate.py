"""`noburn gate`: what a change does to the cost of every prompt, and which rules it breaks.

Layer: commands.  Below: gating, recording, render.gate_formats.
The answer goes to standard output whole, whatever it is; exit code 3 says that a rule is broken.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.core.gate_tables import TABLE_FORMATS
from noburn_cli.errors import LimitReached, UsageError

if TYPE_CHECKING:
    from noburn_cli.core.gate_model import GateResult
    from noburn_cli.core.gate_tables import GateSpec
    from noburn_cli.gating.places import Question


def gate_command(
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="REV", help="Compare with this revision, read from git: origin/main."
        ),
    ] = None,
    no_base: Annotated[
        bool, typer.Option("--no-base", help="Compare with nothing: check what is there now.")
    ] = False,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="REV", help="Check this revision and not the files."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help=f"{', '.join(TABLE_FORMATS[:-1])} or {TABLE_FORMATS[-1]}.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    save: Annotated[
        list[str] | None,
        typer.Option(
            "--save",
            metavar="FORMAT=FILE",
            help="Write it to a file in another format as well. Repeat for several.",
        ),
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show unchanged prompts as well, in the table.")
    ] = False,
    recording: Annotated[
        list[str] | None,
        typer.Option(
            "--recording",
            metavar="NAME",
            help="Compare this recorded run with the baseline. Repeat for the shards of one run.",
        ),
    ] = None,
    update_baseline: Annotated[
        bool,
        typer.Option(
            "--update-baseline", help="Make what --recording names the new baseline, and pass."
        ),
    ] = False,
    update_volumes: Annotated[
        bool,
        typer.Option(
            "--update-volumes", help="Save what the ledger says of calls, for machines without it."
        ),
    ] = False,
    init: Annotated[
        bool,
        typer.Option(
            "--init", help="Write a first [gate] from the prompts that are found, and end."
        ),
    ] = False,
) -> None:
    """Say what a change costs, and fail where it breaks a rule.

    Reads [gate] in noburn.toml: the prompts, the terms on which they are called, the rules. With a
    base, each prompt is shown before and after, with what changed.
    """
    if init:
        others = (base, no_base, head, form, as_json, save, show_all, recording)
        _init(alone=not any((*others, update_baseline, update_volumes)))
        return
    from noburn_cli import paths
    from noburn_cli.gating.comparing import run_gate
    from noburn_cli.gating.places import Question
    from noburn_cli.gating.saving import add_to_summary, read_saves, write_saves
    from noburn_cli.render.gate_formats import FORMATS, Showing
    from noburn_cli.render.table import terminal_width

    _check(base, no_base=no_base, recording=recording, update_baseline=update_baseline)
    named, saves = _named(form, as_json=as_json), read_saves(save or ())
    at_ms = time.time_ns() // 1_000_000
    question = Question(os.environ, Path.cwd(), base, no_base, head, bool(recording))
    if update_volumes:
        _update_volumes(question, paths.ledger_path(), at_ms)
    result, gate, place = run_gate(question, ledger_path=paths.ledger_path(), at_ms=at_ms)
    if recording:
        result = _with_recording(result, gate, recording, root=place.folder, update=update_baseline)
    folder = place.prefix.rstrip("/")
    showing = Showing(terminal_width(), show_all, at_ms, folder)

    def shown(name: str) -> str:
        return FORMATS[name](result, showing)

    wanted = named or gate.format or "table"
    typer.echo(shown(wanted).rstrip("\n"))
    sys.stdout.flush()
    write_saves(saves, shown)
    if wanted == "github":
        add_to_summary(os.environ, shown)
    if not result.passed:
        raise typer.Exit(LimitReached.exit_code)


def _init(*, alone: bool) -> None:
    """Raises UsageError beside other options, and what starting.start_gate raises."""
    if not alone:
        raise UsageError("--init stands alone", next_step="noburn gate --init")
    from noburn_cli.gating.starting import start_gate

    started = start_gate(os.environ, Path.cwd())
    typer.echo(started.text.rstrip("\n"))
    what = "written" if started.is_new else "added to"
    todo = "" if started.has_model else "say the `model`, then "
    typer.echo(f"{what}: {started.path}\n next: look at it; {todo}`noburn gate` holds it", err=True)


def _check(
    base: str | None, *, no_base: bool, recording: list[str] | None, update_baseline: bool
) -> None:
    """Raises UsageError for options that do not go together."""
    if base is not None and no_base:
        raise UsageError("--base and --no-base do not go together", next_step="leave one out")
    if base is not None and base.startswith("-"):
        raise UsageError(f"--base {base!r} is no revision", next_step="write origin/main")
    if update_baseline and not recording:
        raise UsageError(
            "--update-baseline needs a recording",
            why="the new baseline is what a recorded run took",
            next_step="record one: noburn run --recording NAME -- pytest",
        )


def _named(form: str | None, *, as_json: bool) -> str | None:
    """The form that was asked for.  Raises UsageError."""
    if as_json:
        if form not in (None, "json"):
            raise UsageError(f"--json and --format {form} are two forms of one output")
        return "json"
    if form is not None and form not in TABLE_FORMATS:
        import difflib

        near = difflib.get_close_matches(form, TABLE_FORMATS, n=1)
        raise UsageError(
            f"there is no format {form!r}",
            next_step=f"did you mean {near[0]}?" if near else f"one of {', '.join(TABLE_FORMATS)}",
        )
    return form


def _update_volumes(question: Question, ledger_path: Path, at_ms: int) -> None:
    """Write the file that [gate] names.

    Raises UsageError where it names none, LedgerUnavailable without a ledger, NoburnError where the
    file cannot be written.
    """
    from noburn_cli.core.gate_volumes import format_volumes
    from noburn_cli.core.plurals import counted
    from noburn_cli.gating.places import Place
    from noburn_cli.gating.sides import configured
    from noburn_cli.gating.volumes import Volumes
    from noburn_cli.recording.places import write_whole

    place = Place(question)
    gate = configured(place)
    if gate.volumes is None:
        raise UsageError(
            "--update-volumes needs the name of a file",
            why=f"[gate] of {place.path} has no `volumes`",
            next_step='write volumes = "noburn-volumes.json"',
        )
    saved = Volumes(ledger_path, now_ms=at_ms).to_save(gate)
    write_whole(place.folder / gate.volumes, format_volumes(saved))
    typer.echo(f"{gate.volumes} is written: {counted(len(saved.lines), 'line')}", err=True)


def _with_recording(
    result: GateResult, gate: GateSpec, names: list[str], *, root: Path, update: bool
) -> GateResult:
    """The result with what the recorded runs say.

    Raises UsageError for a recording that is not there or cannot be read.
    """
    from dataclasses import replace

    from noburn_cli.core.recorded_findings import findings, left_out_note
    from noburn_cli.recording.comparing import judge, update_baseline

    evidence = judge(names, gate.recording, root)
    if not update:
        found = (*result.findings, *findings(evidence))
        return replace(result, findings=found, evidence=evidence)
    changed = update_baseline(evidence, gate.recording, root)
    note = f"{gate.recording.baseline} is {'written' if changed else 'as it was'}"
    left_out = left_out_note(evidence)
    notes = (note,) if left_out is None else (note, left_out)
    return replace(result, evidence=evidence, notes=(*result.notes, *notes))
