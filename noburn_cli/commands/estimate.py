"""`noburn estimate`: what a prompt, file or request will cost, and the most it can cost.

Layer: commands.  Below: inputs, ranks, provider_count, core.estimates, render.estimate.
tiktoken is imported only when a model is asked for that it counts.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import typer

from noburn_cli import ranks
from noburn_cli.core import estimates
from noburn_cli.core.bounds import Measure, measure, utf8_bytes
from noburn_cli.core.estimates import Estimate, Span
from noburn_cli.core.models import EMBEDDING, Model
from noburn_cli.core.money import parse_count, parse_dollars, show_dollars
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import CallUnbounded, InputRefused, LimitReached, NoburnError, UsageError
from noburn_cli.inputs import Inputs, Item, read_inputs, sources
from noburn_cli.prices import load_book
from noburn_cli.render.estimate import estimates_data, render_estimates

JSON_VERSION = 1
_RANGE = re.compile(r"(?P<low>[^-–]+)[-–](?P<high>[^-–]+)")
TOTAL = "total"


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
    calls: Annotated[
        str, typer.Option(metavar="CALLS", help="How often each request is sent: 1, 10k.")
    ] = "1",
    max_cost: Annotated[
        str | None,
        typer.Option(
            metavar="DOLLARS",
            help="Exit with 3 above it: the expected cost with --out-tokens, else the worst case.",
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
    """
    if compare and model:
        raise UsageError("--compare ranks every model: leave --model out")
    job = Job(
        book=load_book(os.environ),
        names=tuple(model or ()),
        compare=compare,
        output=None if out_tokens is None else _parse_span(out_tokens),
        calls=_at_least_one(parse_count(calls, what="--calls")),
        ask_provider=count,
        at_ms=time.time_ns() // 1_000_000,
    )
    limit = None if max_cost is None else parse_dollars(max_cost, what="--max-cost")
    found = read_inputs(inputs, sys.stdin.buffer)
    rows = job.estimate_all(found)
    totals = _totals(rows)
    if rows or as_json:
        _show(rows, totals, as_json=as_json)
    _tell(found, job.warnings)
    over = None if limit is None else _over(limit, totals or rows, output=job.output)
    if over is not None:
        sys.stdout.flush()
        _say(over.lines())
        raise typer.Exit(over.exit_code)
    if found.problems:
        raise typer.Exit(NoburnError.exit_code)


@dataclass
class Job:
    """What was asked for, and the warnings that came up on the way.

    output: expected output tokens of a call, or None.
    """

    book: PriceBook
    names: tuple[str, ...]
    compare: bool
    output: Span | None
    calls: int
    ask_provider: bool
    at_ms: int
    warnings: list[str] = field(default_factory=list)
    _exact: dict[tuple[int, str], int] = field(default_factory=dict)

    def estimate_all(self, found: Inputs) -> list[Estimate]:
        """One estimate per input and model; what cannot be priced joins `found.problems`."""
        named = [self.book.resolve(name) for name in self.names]  # A wrong name ends it at once.
        rows: list[Estimate] = []
        for source in sources(found.items):
            items = [item for item in found.items if item.source == source]
            rows += self._source(source, items, named, found.problems)
        if not self.compare:
            return rows
        # Several inputs are ranked by their sums: a table per input would bury the answer.
        return estimates.ranked(_totals(rows) or rows)

    def _source(
        self,
        source: str,
        items: Sequence[Item],
        named: Sequence[Model],
        problems: list[NoburnError],
    ) -> list[Estimate]:
        """The estimates of one input, by model in the order in which models come up."""
        by_model: dict[str, list[Estimate]] = {}
        unfit: dict[str, None] = {}
        for item in items:
            for model, outcome in self._item(item, named):
                if isinstance(outcome, Estimate):
                    by_model.setdefault(outcome.model, []).append(outcome)
                elif self.compare and model is not None:
                    unfit[model.name] = None
                else:
                    problems.append(_at(item, outcome))
        if unfit:
            by_model = {name: ones for name, ones in by_model.items() if name not in unfit}
            if by_model:
                self.warnings.append(f"{source} does not fit, or has no price: {', '.join(unfit)}")
            else:
                problems.append(InputRefused(f"{source} fits no model of the price book"))
        return [estimates.together(ones, source=source) for ones in by_model.values()]

    def _item(
        self, item: Item, named: Sequence[Model]
    ) -> Iterator[tuple[Model | None, Estimate | NoburnError]]:
        """One request on each of its models: the estimate, or why there is none."""
        try:
            models = self._models(item, named)
        except NoburnError as error:
            yield None, error
            return
        for model in models:
            try:
                yield model, self._request(item, model)
            except NoburnError as error:
                yield model, error

    def _models(self, item: Item, named: Sequence[Model]) -> Sequence[Model]:
        """On which models to price one request.  Raises ModelUnknown."""
        if self.compare:
            return self._candidates([item])
        if named:
            return named
        if item.call.model:
            return [self.book.resolve(item.call.model)]
        first = {m.provider: m for m in reversed(self.book.models()) if m.family != EMBEDDING}
        return [m for m in self.book.models() if first.get(m.provider) is m]

    def _candidates(self, items: Sequence[Item]) -> list[Model]:
        """Models that answer, or embed, as the inputs ask for."""
        embeds = any(item.call.output is None for item in items)
        return [m for m in self.book.models() if (m.family == EMBEDDING) == embeds]

    def _request(self, item: Item, model: Model) -> Estimate:
        """One request on one model.  Raises InputRefused, PriceUnknown, CallUnbounded."""
        call = item.call
        if call.unbounded:
            raise CallUnbounded("nothing bounds what this call may cost", why=call.unbounded)
        measured = self._measure(item, model)
        size = estimates.size_of(
            model,
            measured,
            text_tokens=self._text_tokens(item, model, measured),
            schema_bytes=utf8_bytes(call.schema_text),
            texts=len(call.texts),
        )
        estimates.check_fits(model, size, where=item.where)
        cap = call.output
        return estimates.estimate_request(
            model,
            size,
            source=item.source,
            input_kinds=call.input_kinds,
            variants=("batch",) if item.batch else call.variants,
            output_cap=None if cap is None else cap.wanted,
            choices=1 if cap is None else cap.choices,
            has_output=cap is not None,
            output=self.output,
            calls=self.calls,
            at_ms=self.at_ms,
        )

    def _measure(self, item: Item, model: Model) -> Measure:
        """The request's measure, with the provider's count where that was asked for and given."""
        call = item.call
        measured = measure(
            call.texts,
            call.schema_text,
            overhead_tokens=call.overhead_tokens,
            counted_tokens=call.counted_tokens,
            window=bool(call.window),
        )
        if not self.ask_provider:
            return measured
        from noburn_cli.provider_count import CountFailed, count_input  # urllib costs 40 ms

        try:
            return replace(measured, counted=count_input(item, model, os.environ))
        except CountFailed as error:
            self.warnings.append(f"{item.where}: not counted by the provider: {error.message}")
            return measured

    def _text_tokens(self, item: Item, model: Model, measured: Measure) -> int | None:
        """The exact count of a request's texts, once per encoding; None without an encoding."""
        if model.tokenizer not in ranks.NAMES or measured.counted is not None or measured.window:
            return None
        key = (id(item), model.tokenizer)
        if key not in self._exact:
            self._exact[key] = sum(ranks.count(model.tokenizer, text) for text in item.call.texts)
        return self._exact[key]


def _at(item: Item, error: NoburnError) -> NoburnError:
    """The error with the input's name in front, where it is not there yet."""
    if not error.message.startswith(item.where):
        error.message = f"{item.where}: {error.message}"
    return error


def _totals(rows: Sequence[Estimate]) -> list[Estimate]:
    """A sum per model, when there are several inputs."""
    if len({one.source for one in rows}) < 2:
        return []
    return [
        estimates.together([one for one in rows if one.model == name], source=TOTAL)
        for name in dict.fromkeys(one.model for one in rows)
    ]


def _show(rows: Sequence[Estimate], totals: Sequence[Estimate], *, as_json: bool) -> None:
    if as_json:
        from noburn_cli.render.jsonout import print_json

        print_json("estimate", JSON_VERSION, estimates_data(rows, totals))
        return
    typer.echo("\n".join(render_estimates(rows, totals)))


def _tell(found: Inputs, warnings: Sequence[str]) -> None:
    """Notes, warnings and problems on standard error."""
    _say([f"note: {note}" for note in found.notes])
    _say([f"warning: {warning}" for warning in warnings])
    for problem in found.problems:
        _say(problem.lines())


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)


def _over(limit: int, rows: Sequence[Estimate], *, output: Span | None) -> LimitReached | None:
    """Which model passes --max-cost, if one does.

    Compared is the expected cost where an output was expected and the input's size is known, and
    the worst case otherwise; several rows are several models, of which each is held to the limit.
    """
    for one in rows:
        expected = output is not None and one.cost is not None and one.with_output
        cost = one.cost.high if expected and one.cost is not None else one.worst
        if cost > limit:
            what = "expected cost" if expected else "worst case"
            return LimitReached(
                f"the {what} on `{one.model}` is {show_dollars(cost)}, "
                f"above --max-cost {show_dollars(limit)}",
                why="" if expected else "without an expected output the worst case is compared",
                next_step="" if expected else "say what you expect with --out-tokens",
            )
    return None


def _parse_span(text: str) -> Span:
    """`500` or `200-800` as tokens.  Raises UsageError."""
    match = _RANGE.fullmatch(text)
    if match is None:
        tokens = parse_count(text, what="--out-tokens")
        return Span(tokens, tokens)
    low = parse_count(match["low"], what="--out-tokens")
    high = parse_count(match["high"], what="--out-tokens")
    if low > high:
        raise UsageError(f"--out-tokens {text} ends below its start")
    return Span(low, high)


def _at_least_one(calls: int) -> int:
    if calls < 1:
        raise UsageError("--calls is below 1", next_step="leave it out for one call")
    return calls
