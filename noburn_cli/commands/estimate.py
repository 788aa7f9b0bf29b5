"""`noburn estimate`: what a prompt, file or request will cost, and the most it can cost.

Layer: commands.  Below: inputs, estimating, render.estimate.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from noburn_cli import paths
from noburn_cli.announcing import announced, announced_data, announced_lines
from noburn_cli.core.estimate_sums import bills, totals
from noburn_cli.core.estimates import Estimate, Span
from noburn_cli.core.money import REQUESTS, TOKENS, parse_count, parse_dollars, show_dollars
from noburn_cli.core.price_notices import RETIRED, PriceNotice
from noburn_cli.errors import LimitReached, NoburnError, UsageError
from noburn_cli.estimating import Job
from noburn_cli.inputs import read_inputs
from noburn_cli.learning import Learning
from noburn_cli.prices import load_book
from noburn_cli.render.estimate import estimates_data, render_estimates
from noburn_cli.render.learned import unlearned_notes
from noburn_cli.render.progress import Progress
from noburn_cli.render.table import remark_lines, terminal_width

JSON_VERSION = 1
_RANGE = re.compile(r"(?P<low>[^-–]+)[-–](?P<high>[^-–]+)")


def estimate_command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Files, globs or folders; `-` reads standard input."
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Price on this model. Repeat for several."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Rank every model whose context window it fits.")
    ] = False,
    out_tokens: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="Output expected of a call: 500, or from 200-800."),
    ] = None,
    region: Annotated[
        str,
        typer.Option(metavar="REGION", help="Where calls are served, as for data residency: eu."),
    ] = "",
    feature: Annotated[
        str | None,
        typer.Option(help="Expect the output that calls of this feature had.", metavar="NAME"),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Expect the output that calls with tag.prompt=NAME had.", metavar="NAME"),
    ] = None,
    no_learning: Annotated[
        bool, typer.Option("--no-learning", help="Expect nothing from the ledger's past calls.")
    ] = False,
    calls: Annotated[
        str, typer.Option(metavar="CALLS", help="How often each request is sent: 1, 10k.")
    ] = "1",
    max_cost: Annotated[
        str | None,
        typer.Option(
            metavar="DOLLARS",
            help="Exit with 3 where all inputs together are above it: expected with --out-tokens, "
            "else in the worst case.",
        ),
    ] = None,
    count: Annotated[
        bool,
        typer.Option("--count", help="Ask the provider to count, for free; this sends the text."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a prompt, file or request will cost, and the most it can cost.

    Reads plain text, a request body or JSONL of requests for OpenAI or Anthropic, and batch files.
    Without a model, a request's own model is priced, and text on one model per provider.
    Without --out-tokens, what the ledger's calls of the last 30 days had is expected, once there
    are 20 of the prompt, the feature or the model.
    """
    if compare and model:
        raise UsageError("--compare ranks every model: leave --model out")
    if region and not (region.replace("-", "").isalnum() and region.isascii()):
        # A price for any region would take every word for one.
        raise UsageError(
            f"--region is no region: {region!r}", next_step="write it like eu, us-east5"
        )
    now_ms = time.time_ns() // 1_000_000
    learns = _learns(feature, prompt, out_tokens, compare=compare, off=no_learning)
    job = Job(
        book=load_book(os.environ),
        names=tuple(model or ()),
        compare=compare,
        output=None if out_tokens is None else _parse_span(out_tokens),
        calls=_at_least_one(parse_count(calls, what="--calls", unit=REQUESTS)),
        ask_provider=count,
        at_ms=now_ms,
        progress=Progress(sys.stderr),
        learning=Learning(paths.ledger_path(), now_ms=now_ms) if learns else None,
        feature=feature,
        prompt=prompt,
        region=region,
    )
    limit = None if max_cost is None else parse_dollars(max_cost, what="--max-cost")
    found = read_inputs(inputs, sys.stdin.buffer)
    try:
        rows = job.estimate_all(found)
    except KeyboardInterrupt:
        job.progress.end()
        _say(job.interrupted())
        raise typer.Exit(128 + signal.SIGINT) from None
    sums = totals(rows)
    announcements = announced(job.book, [row.model for row in rows], at_ms=now_ms)
    if rows or as_json:
        _show(rows, sums, announcements, as_json=as_json, was_asked=count)
    sys.stdout.flush()  # The answer before the remarks, on a terminal and in a log alike.
    _say(f"note: {note}" for note in (*found.notes, *job.notes, *_not_learned(job, rows)))
    if not compare:  # Somebody who compares has not chosen yet; JSON has them all.
        ahead = [one for one in announcements if one.kind != RETIRED]
        _say(f"note: {line}" for line in announced_lines(ahead))
    _say(f"warning: {warning}" for warning in job.warnings)
    for problem in found.problems:
        _say(problem.lines())
    over = None if limit is None else _over(limit, bills(rows), output=job.output)
    if over is not None:
        _say(over.lines())
        raise typer.Exit(over.exit_code)
    if found.problems:
        raise typer.Exit(NoburnError.exit_code)


def _show(
    rows: Sequence[Estimate],
    sums: Sequence[Estimate],
    announcements: Sequence[PriceNotice],
    *,
    as_json: bool,
    was_asked: bool,
) -> None:
    if as_json:
        from noburn_cli.render.jsonout import print_json

        data = estimates_data(rows, sums)
        print_json("estimate", JSON_VERSION, {**data, "notices": announced_data(announcements)})
        return
    shown = render_estimates(rows, sums, width=terminal_width(), was_asked=was_asked)
    typer.echo("\n".join(shown))


def _learns(
    feature: str | None, prompt: str | None, out_tokens: str | None, *, compare: bool, off: bool
) -> bool:
    """Whether past calls are asked.  Raises UsageError where that was asked for and cannot be."""
    names = [f"--{key}" for key, name in (("feature", feature), ("prompt", prompt)) if name]
    against = [("--out-tokens", out_tokens is not None), ("--compare", compare)]
    for option in [name for name, given in (*against, ("--no-learning", off)) if given]:
        if names:
            raise UsageError(
                f"{names[0]} and {option} do not go together",
                why=f"{names[0]} asks past calls for the output, and {option} does not",
                next_step="leave one of the two out",
            )
        return False
    return True


def _not_learned(job: Job, rows: Sequence[Estimate]) -> list[str]:
    """Why past calls say nothing, where somebody would wonder."""
    if job.learning is None:
        return []
    if job.learning.failure is not None:
        return [f"nothing was learned from past calls: {job.learning.failure.message}"]
    if job.feature is None and job.prompt is None:
        return []
    if not job.learning.has_ledger:
        return ["nothing was learned from past calls: there is no ledger yet"]
    return unlearned_notes(rows, feature=job.feature, prompt=job.prompt, days=job.learning.days)


def _say(lines: Iterable[str]) -> None:
    for line in remark_lines(lines, sys.stderr):
        typer.echo(line, err=True)


def _over(limit: int, rows: Sequence[Estimate], *, output: Span | None) -> LimitReached | None:
    """Which model passes --max-cost, if one does.

    Compared is the expected cost where an output was given and the input's size is known, and the
    worst case otherwise: what was learned differs between machines, and loosens nothing.
    rows: what all inputs come to, once for each model that may be chosen; each is held to it.
    """
    for one in rows:
        expected = output is not None and one.cost is not None and one.with_output
        cost = one.cost.high if expected and one.cost is not None else one.worst
        if cost > limit:
            what = "expected cost" if expected else "worst case"
            return LimitReached(
                f"the {what} {_on(one.model)} is {show_dollars(cost)}, "
                f"above --max-cost {show_dollars(limit)}",
                why="" if expected else "without an expected output the worst case is compared",
                next_step=_next_step(limit, expected=expected),
            )
    return None


def _on(model: str) -> str:
    """`2 models` is what a sum of several is called; no model's name has a blank."""
    return f"on {model} together" if " " in model else f"on `{model}`"


def _next_step(limit: int, *, expected: bool) -> str:
    if not limit:
        return "if you wrote $20, the shell read `$2` as a variable: write 20, '$20' or 20usd"
    return "" if expected else "say what you expect with --out-tokens"


def _parse_span(text: str) -> Span:
    """`500` or `200-800` as tokens.  Raises UsageError."""
    match = _RANGE.fullmatch(text)
    if match is None:
        tokens = parse_count(text, what="--out-tokens", unit=TOKENS)
        return Span(tokens, tokens)
    low = parse_count(match["low"], what="--out-tokens", unit=TOKENS)
    high = parse_count(match["high"], what="--out-tokens", unit=TOKENS)
    if low > high:
        raise UsageError(f"--out-tokens {text} ends below its start")
    return Span(low, high)


def _at_least_one(calls: int) -> int:
    if calls < 1:
        raise UsageError("--calls is below 1", next_step="leave it out for one call")
    return calls
