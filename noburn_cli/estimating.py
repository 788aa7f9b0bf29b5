"""Prices every request of what was read, on every model that was asked for.

Layer: I/O (it may count by tiktoken, or ask a provider).  Below: inputs, ranks, provider_count,
input_counts, core.estimates.  Above: commands.estimate, gating.
tiktoken is imported only when a model is asked for that it counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from noburn_cli import ranks
from noburn_cli.big_inputs import Big
from noburn_cli.core import estimates
from noburn_cli.core.bedrock_regions import billed_region
from noburn_cli.core.bounds import CLAUDE, TEMPLATED_COMPOSED, Measure
from noburn_cli.core.estimate_sums import totals
from noburn_cli.core.estimates import Estimate
from noburn_cli.core.input_sizes import Span, check_fits
from noburn_cli.core.modelnames import FINE_TUNE
from noburn_cli.core.models import (
    EMBEDDING,
    MEDIA,
    STANDARD,
    Model,
    is_retired,
    retired_warning,
)
from noburn_cli.core.offline_counts import family_of
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.rate_schedules import hours_words
from noburn_cli.core.text_cuts import RUN_CHARACTERS_MAX, Cutter
from noburn_cli.core.variants import certain, with_region, without_region
from noburn_cli.counting import Tally, tally_parts
from noburn_cli.errors import CallUnbounded, InputRefused, ModelUnknown, NoburnError
from noburn_cli.input_counts import BASE, InputCounts
from noburn_cli.inputs import Inputs, Item, by_source, line_items
from noburn_cli.learning import Learned, Learning
from noburn_cli.providers.call import Call
from noburn_cli.render.progress import Progress

#: Whose newest model text is priced on when nobody names one.
DEFAULT_PROVIDERS = ("openai", "anthropic", "google")
#: They sell others' models: a ranking of models would show each of these several times.
RESELLERS = ("azure", "bedrock", "vertex")
#: So many estimates of one input are summed into one, so that no list grows with the input.
_TOGETHER = 512
_MB = 1_000_000


@dataclass
class Job:
    """What was asked for, and the warnings that came up on the way.

    output: expected output tokens of a call, or None.
    region: where calls are served that name no region themselves; "" where it costs nothing more.
    learning: what past calls of `prompt` and `feature` say of it where `output` is None; or None.
    """

    book: PriceBook
    names: tuple[str, ...]
    compare: bool
    output: Span | None
    calls: int
    ask_provider: bool
    at_ms: int
    progress: Progress
    learning: Learning | None = None
    feature: str | None = None
    prompt: str | None = None
    region: str = ""
    warnings: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    _tally: Tally = field(default_factory=Tally)
    _reading: tuple[str, int] | None = None
    _models_that: dict[bool, tuple[Model, ...]] = field(default_factory=dict)

    def estimate_all(self, found: Inputs) -> list[Estimate]:
        """One estimate per input and model; what cannot be priced joins `found.problems`."""
        # A wrong name ends it at once; two names of one model are one model.
        found_by_name = [self.book.resolve(name) for name in self.names]
        named = list({model.name: model for model in found_by_name}.values())
        rows: list[Estimate] = []
        self.progress.begin(len(found.items), "requests counted")
        for source, items in by_source(found.items).items():
            rows += self._source(source, items, named, found.problems)
        self.progress.end()
        if not self.compare:
            return rows
        # Several inputs are ranked by their sums: a table per input would bury the answer.
        return estimates.ranked(totals(rows) or rows)

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
        for item in self._each(items, problems):
            for model, outcome in self._item(item, named):
                if isinstance(outcome, Estimate):
                    ones = by_model.setdefault(outcome.model, [])
                    ones.append(outcome)
                    if len(ones) >= _TOGETHER:
                        ones[:] = [estimates.together(ones, source=source)]
                elif self.compare and model is not None:
                    unfit[model.name] = None
                else:
                    problems.append(_at(item, outcome))
        if unfit:
            by_model = {name: ones for name, ones in by_model.items() if name not in unfit}
            if by_model:
                self.warnings[f"{source} does not fit, or has no price: {', '.join(unfit)}"] = None
            else:
                problems.append(InputRefused(f"{source} fits no model of the price book"))
        return [estimates.together(ones, source=source) for ones in by_model.values()]

    def _each(self, items: Sequence[Item], problems: list[NoburnError]) -> Iterator[Item]:
        """Every request of the items, those on the lines of a large input one after another."""
        for item in items:
            if item.big is None or not item.big.holds_requests:
                yield item
            else:
                with self._reads(item.big) as reading:
                    for one in line_items(item.big, reading):
                        if isinstance(one, Item):
                            yield one
                        else:
                            problems.append(one)
            self.progress.step()

    @contextmanager
    def _reads(self, big: Big) -> Iterator[Callable[[int], None]]:
        """Show how far a large input was read, and remember it for `interrupted`."""
        progress = self.progress.within((big.size_bytes or 0) // _MB, f"MB of {big.name} counted")

        def reading(done: int) -> None:
            self._reading = (big.name, done)
            progress.reach(done // _MB)

        self._tally = Tally()
        try:
            yield reading
        finally:
            progress.end()
        self._reading = None

    def interrupted(self) -> list[str]:
        """What there is to say when somebody stops it: how far a large input was counted."""
        if self._reading is None:
            return ["interrupted: nothing was priced"]
        name, done = self._reading
        lines = [f"interrupted: {done // _MB:,} MB of {name} were read, nothing was priced"]
        for encoding, tokens in self._tally.tokens.items():
            lines.append(
                f"  so far: {tokens:,} tokens by {encoding}, in {self._tally.bytes:,} bytes"
            )
        return lines

    def _item(
        self, item: Item, named: Sequence[Model]
    ) -> Iterator[tuple[Model | None, Estimate | NoburnError]]:
        """One request on each of its models: the estimate, or why there is none."""
        try:
            models = self._models(item, named)
            big = item.big
            counts = InputCounts(item.call)
            measured = (
                item.call.measured() if big is None else self._measure_big(counts, big, models)
            )
        except NoburnError as error:
            yield None, error
            return
        for model in models:
            try:
                billed = item.call.billed_as(measured, model.name, aliases=model.aliases)
                size = self._counted(item, model, billed)
                one = self._request(item, model, counts, size)
                yield model, one if len(models) == 1 else replace(one, is_choice=True)
            except NoburnError as error:
                yield model, error

    def _measure_big(self, counts: InputCounts, big: Big, models: Sequence[Model]) -> Measure:
        """Read a large text once, and count it for every model.  Raises InputRefused."""
        names = {model.tokenizer for model in models}
        estimated = any(family_of(model.tokenizer, model.name) for model in models)
        encodings = {name for name in names if ranks.can_count(name)}
        expands = not names.isdisjoint({CLAUDE, *TEMPLATED_COMPOSED})
        cutter = Cutter(run_characters_max=RUN_CHARACTERS_MAX)
        with self._reads(big) as reading:
            tally_parts(
                big.parts(cutter, reading), sorted(encodings), self._tally,
                expands=expands, base=BASE if estimated else None,
            )  # fmt: skip
        if estimated:
            counts.features = self._tally.features
        counts.exact, counts.joints = dict(self._tally.tokens), cutter.forced
        if cutter.forced:
            self.notes[
                f"{big.name} has runs without a place to cut: counted in {cutter.forced + 1} pieces"
            ] = None
        return replace(
            counts.call.measured(), bytes=self._tally.bytes, expanded=self._tally.expanded
        )

    def _models(self, item: Item, named: Sequence[Model]) -> Sequence[Model]:
        """On which models to price one request.  Raises ModelUnknown."""
        if self.compare:
            return self._candidates(embeds=item.call.output is None)
        if named or item.call.model:
            wanted = named or [self.book.resolve(item.call.model)]
            for model in wanted:
                self._warn_if_retired(model)
                self._note_hours(model)
            return wanted
        first: dict[str, Model] = {}
        for model in self._candidates(embeds=False):
            if model.provider in DEFAULT_PROVIDERS:
                first.setdefault(model.provider, model)
        return list(first.values())

    def _candidates(self, *, embeds: bool) -> Sequence[Model]:
        """Models that can be called today and answer, or embed, as the input asks for."""
        if embeds not in self._models_that:
            texts = [m for m in self.book.models() if m.family != MEDIA]
            plain = [m for m in texts if not m.name.startswith(FINE_TUNE)]
            own = [m for m in plain if m.provider not in RESELLERS]
            fitting = [m for m in own if (m.family == EMBEDDING) == embeds]
            alive = tuple(m for m in fitting if not is_retired(m, self.at_ms))
            self._models_that[embeds] = alive
            gone = len(fitting) - len(alive)
            if gone and self.compare:
                were = "model was" if gone == 1 else "models were"
                self.notes[f"{gone} {were} left out: their provider has switched them off"] = None
            if len(own) < len(texts) and self.compare:
                hosted = "models on Azure, Bedrock and Vertex AI, and fine-tunes,"
                self.notes[f"{hosted} are priced when they are named"] = None
        return self._models_that[embeds]

    def _warn_if_retired(self, model: Model) -> None:
        if is_retired(model, self.at_ms):
            self.warnings[retired_warning(model)] = None

    def _note_hours(self, model: Model) -> None:
        windows = model.windows(STANDARD, self.at_ms)
        if windows:
            self.notes[
                f"{model.name} has another price at {hours_words(windows)}: what is expected "
                "is at that of now, the worst case at that of the dearest hour of the coming week"
            ] = None

    def _variants(self, item: Item, model: Model) -> tuple[str, ...]:
        """The variants that may apply, in the region that the request or --region names."""
        variants = item.call.variants
        if item.batch:
            variants = tuple(with_region("batch", without_region(one)[1]) for one in variants)
        if not self.region:
            return variants
        region = billed_region(self._asked_for(item, model), self.region)
        sure = (variant for variant in variants if certain(variant)[1])
        return tuple(with_region(variant, region) for variant in sure)

    def _request(
        self, item: Item, model: Model, counts: InputCounts, measured: Measure
    ) -> Estimate:
        """One request on one model.  Raises InputRefused, PriceUnknown, CallUnbounded."""
        call = item.call
        if call.unbounded:
            raise CallUnbounded("nothing bounds what this call may cost", why=call.unbounded)
        if ranks.is_missing(model.tokenizer) and not self.compare:
            self.notes[f"`{model.name}` can be counted exactly: pip install '{ranks.EXTRA}'"] = None
        size = counts.size(model, measured)
        check_fits(model, size, where=item.where)
        cap = call.output
        return estimates.estimate_request(
            model,
            size,
            source=item.source,
            input_kinds=call.input_kinds,
            variants=self._variants(item, model),
            output_cap=None if cap is None else cap.wanted,
            choices=1 if cap is None else cap.choices,
            has_output=cap is not None,
            output=self.output,
            learned=self._learned(call, model),
            calls=self.calls,
            at_ms=self.at_ms,
            output_kinds=call.output_kinds,
            extra=call.extra,
        )

    def _learned(self, call: Call, model: Model) -> Learned | None:
        """What past calls on a model say of this one's output, where nobody else says it."""
        if self.output is not None or self.learning is None or call.output is None:
            return None
        return self.learning.expected_output(
            model=model.name, feature=self.feature, prompt=self.prompt
        )

    def _counted(self, item: Item, model: Model, measured: Measure) -> Measure:
        """The measure with the provider's count, where that was asked for and given."""
        if not self.ask_provider:
            return measured
        if item.big is not None:
            self.warnings[f"{item.where}: too large to be sent to the provider for a count"] = None
            return measured
        from noburn_cli.provider_count import CountFailed, count_input  # urllib costs 40 ms

        try:
            name = self._asked_for(item, model)
            return replace(measured, counted=count_input(item, model, os.environ, name=name))
        except CountFailed as error:
            self.warnings[f"{item.where}: not counted by the provider: {error.message}"] = None
            return measured

    def _asked_for(self, item: Item, model: Model) -> str:
        """The name by which somebody asked for a model, as its provider knows it."""
        for name in (*self.names, item.call.model):
            try:
                if name and self.book.resolve(name) is model:
                    return self.book.without_prefix(name)
            except ModelUnknown:  # The request's own, where another was named.
                continue
        return model.name


def _at(item: Item, error: NoburnError) -> NoburnError:
    """The error with the input's name in front, where it is not there yet."""
    if not error.message.startswith(item.where):
        error.message = f"{item.where}: {error.message}"
    return error
