"""The options of `noburn report` as a question, and what does not go together.

Layer: commands.  Below: reports.query, period, anomalies, run_names.  Above: commands.report.
Nothing is read from the ledger here but the name of a run: wrong use is told before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.core.budgets import check_key
from noburn_cli.core.money import parse_dollars
from noburn_cli.core.windows import check_zone
from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from noburn_cli.commands.report_showing import Output
    from noburn_cli.reports.anomalies import Rule
    from noburn_cli.reports.query import Question

FORMATS = ("table", "csv", "json", "markdown", "parquet")
_SOURCES = {"all": ("ledger", "imported"), "ledger": ("ledger",), "imported": ("imported",)}
#: Views that judge one column's values.
_ONE_COLUMN = ("--pareto", "--anomalies")
_TIMES_MAX = 1_000_000


def check_format(format_: str | None, *, as_json: bool, as_csv: bool) -> str:
    """The format asked for, however.  Raises UsageError."""
    chosen = {name for name, is_asked in (("json", as_json), ("csv", as_csv)) if is_asked}
    if format_ is not None:
        if format_ not in FORMATS:
            raise UsageError(f"unknown format {format_!r}", why=f"known are {', '.join(FORMATS)}")
        chosen.add(format_)
    if len(chosen) > 1:
        names = " and ".join(f"--{name}" for name in sorted(chosen, reverse=True))
        raise UsageError(f"{names} are two forms of one output", next_step="choose one")
    return chosen.pop() if chosen else "table"


def check_one(views: Mapping[str, bool]) -> str | None:
    """The view that was asked for; None for the lines themselves.  Raises UsageError for two."""
    asked = [name for name, is_asked in views.items() if is_asked]
    if len(asked) > 1:
        raise UsageError(
            f"{' and '.join(asked)} are views of their own", next_step="ask for one at a time"
        )
    return asked[0] if asked else None


def question(
    by: Sequence[str] | None,
    *,
    view: str | None,
    period: tuple[str | None, str | None, str | None],
    zone: str,
    named: Mapping[str, str | None],
    tags: Sequence[str],
    run: str | None,
    step: str | None,
    source: str,
    now_ms: int,
    compare: bool,
    latency: bool,
) -> Question:
    """What the options ask.  Raises UsageError."""
    from noburn_cli.reports.query import Question

    if source not in _SOURCES:
        raise UsageError(f"unknown source {source!r}", why=f"known are {', '.join(_SOURCES)}")
    check_zone(zone)
    since_ms, until_ms = _period(*period, zone=zone, now_ms=now_ms)
    if compare and since_ms is None:
        raise UsageError(
            "there is no period before one that has no beginning",
            next_step="give --period month, --period 7d or --since 2026-11-01 with --compare",
        )
    return Question(
        by=_columns(by, view),
        since_ms=since_ms,
        until_ms=until_ms,
        where={**{k: v for k, v in named.items() if v is not None}, **_tags(tags)},
        run=None if run is None else _run(run.strip("/")),
        step=None if step is None else step.strip("/"),
        zone=zone,
        compare=compare,
        sources=_SOURCES[source],
        latency=latency,
    )


def check_view(view: str | None, asked: Question, out: Output) -> None:
    """Whether the rest of the options means anything for a view.  Raises UsageError."""
    from noburn_cli.reports.query import TIMES

    if view is not None and (asked.compare or asked.latency):
        raise UsageError(f"{view} has no --compare and no --latency")
    if view in _ONE_COLUMN and (len(asked.by) != 1 or asked.by[0] in TIMES):
        raise UsageError(
            f"{view} looks at one column, and at none of time",
            next_step=f"write {view} --by customer, feature, model or user",
        )
    shapes = ("table", "json", *(("csv",) if view == "--calibration" else ()))
    if view is not None and out.format not in shapes:
        raise UsageError(f"{view} is shown as {' or '.join(shapes)}, not as {out.format}")
    if view == "--calibration" and (out.path is not None or out.chart or out.top is not None):
        raise UsageError("--calibration has no --output, --top and --chart")
    if view in ("--anomalies", "--forecast") and out.top is not None:
        raise UsageError(f"{view} has no --top")
    if out.chart and (out.format != "table" or view == "--anomalies"):
        raise UsageError(
            "--chart is drawn under a table", next_step="leave out --format or --chart"
        )
    if out.format == "parquet" and out.path is None:
        raise UsageError("Parquet is written to a file", next_step="add --output report.parquet")
    if out.path is not None:
        from noburn_cli.whole_files import OR_PRINT, file_to_replace

        file_to_replace(Path(out.path), otherwise=OR_PRINT)


def rule(times: str, least: str) -> Rule:
    """The rule of --anomalies.  Raises UsageError."""
    from noburn_cli.reports.anomalies import Rule

    if (
        not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", times)
        or not 1 < Fraction(times) <= _TIMES_MAX
    ):
        raise UsageError(
            f"--times cannot be read from {times!r}",
            why="expected a number above 1: how many times the norm a day must cost",
        )
    return Rule(Fraction(times), parse_dollars(least, what="--least"))


def _columns(by: Sequence[str] | None, view: str | None) -> tuple[str, ...]:
    """The columns to group by; the model, or what a view is about, when nobody said."""
    from noburn_cli.reports.query import check_column

    check = check_column
    if view == "--calibration":  # a tenth of a second to import
        from noburn_cli.reports.calibration import check_by as check

    default = {"--pareto": "feature", "--anomalies": "customer"}.get(view or "", "model")
    names = [name.strip() for joined in by or [default] for name in joined.split(",")]
    for name in names:
        check(name)
    if len(set(names)) != len(names):
        raise UsageError(f"a column appears twice in --by {','.join(names)}")
    return tuple(names)


def _period(
    period: str | None, since: str | None, until: str | None, *, zone: str, now_ms: int
) -> tuple[int | None, int | None]:
    from noburn_cli.reports.period import parse_period, parse_span

    if period is not None:
        if since is not None or until is not None:
            raise UsageError(
                "--period and --since or --until are two ways to say one thing",
                next_step="choose one",
            )
        found = parse_period(period, now_ms=now_ms, zone=zone)
        return found.since_ms, found.until_ms
    return parse_span(since, until, now_ms=now_ms, zone=zone)


def _run(wanted: str) -> str:
    from noburn_cli import paths
    from noburn_cli.reports.run_names import named_run

    return named_run(paths.ledger_path(), wanted)


def _tags(pairs: Sequence[str]) -> dict[str, str]:
    tags = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not value:
            raise UsageError(
                f"a tag cannot be read from {pair!r}", next_step="write it like --tag team=search"
            )
        tags[check_key(f"tag.{name.removeprefix('tag.')}")] = value
    return tags
