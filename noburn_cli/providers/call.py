"""What a codec makes of a request: everything that decides the most it can cost.

Layer: providers.  Below: core.  Above: the guard and `estimate`.
Not here: tokens and money.  The client measures; the daemon (or `estimate`) counts and prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from noburn_cli.core.bounds import Measure, measure
from noburn_cli.core.media import IMAGE, Media
from noburn_cli.core.usage import INPUT, OUTPUT


@dataclass(frozen=True)
class OutputCap:
    """How many tokens may come back, and how the request says so.

    wanted: the request's own cap per choice, or None when it names none.
    floor: the least cap per choice worth granting (a provider's minimum, a thinking budget).
    choices: how many answers are billed (`n`, `best_of`).
    """

    wanted: int | None = None
    floor: int = 1
    choices: int = 1


@dataclass(frozen=True)
class Call:
    """One request to a provider, as far as its cost is concerned.

    api: the codec's name, such as `openai_chat`.
    model: the name in the request, unresolved.
    texts: pieces of text that the provider tokenises, each by itself.
    schema_text: JSON that the provider renders in its own way (tools, response formats): bounded
        by its bytes, never counted exactly.
    tools, rest_schema, tool_forced: the same for estimates alone: the definitions of tools, what is
        none of them, and whether the model has to use one.
    overhead_tokens: an upper bound for what the provider adds around them (frames, roles, hidden
        tool prompts), with its source in the codec.  Images are not among it: see `measured`.
    frame_tokens: the least and the most that the provider is documented to add around the texts,
        or None where nothing is published.  For estimates only: a hold takes `overhead_tokens`.
    media: images, documents and recordings among the input.  What bounds an image depends on the
        model that is billed (`measured`); what bounds the others is in `window`.
    counted_tokens: input that arrives as token ids (embeddings).
    window: why the input can only be bounded by the context window (files, stored turns), or ""
        when it is all here, or an image.
    unseen: whether something else than `media` makes `window`, so that nothing can be expected.
    unbounded: why nothing bounds this call's cost, or "": such a call is refused, unless the policy
        has a ceiling for each of `unbounded_kinds`.
    unbounded_kinds: the names of those ceilings (providers.ceilings).
    usage_tells_all: whether the answer's usage tells everything that the call cost.
    fixed_usage: what a successful answer is billed, known from the request alone; None where only
        the answer tells.
    requests, windows: how many requests are in this one (a batch), and how many further inputs the
        provider may read that only the context window bounds (rounds of a hosted tool).
    extra: the most units of further kinds (core.usage.EXTRA_KINDS).
    input_kinds: the kinds of usage as which input tokens may be billed.
    output_kinds: the same for output tokens.
    variants: the price variants that may apply (`standard`, `batch`, `flex`, `priority`), with the
        region behind one where it costs more (core.variants).
    output: the cap, or None for a call without output (embeddings).
    stream: whether the answer is a stream of events.
    """

    api: str
    model: str
    texts: tuple[str, ...] = ()
    schema_text: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    rest_schema: str = ""
    tool_forced: bool = False
    overhead_tokens: int = 0
    frame_tokens: tuple[int, int] | None = None
    media: tuple[Media, ...] = ()
    counted_tokens: int = 0
    window: str = ""
    unseen: bool = True
    unbounded: str = ""
    unbounded_kinds: tuple[str, ...] = ()
    usage_tells_all: bool = True
    fixed_usage: Mapping[str, int] | None = None
    requests: int = 1
    windows: int = 0
    extra: Mapping[str, int] = field(default_factory=dict)
    input_kinds: tuple[str, ...] = (INPUT,)
    output_kinds: tuple[str, ...] = (OUTPUT,)
    variants: tuple[str, ...] = ("standard",)
    output: OutputCap | None = field(default_factory=OutputCap)
    stream: bool = False

    def frame_range(self) -> tuple[int, int]:
        """The least and the most tokens that are expected around the texts.

        What a provider renders in its own way (tools, formats) is not among them.
        """
        around = self.overhead_tokens
        least, most = self.frame_tokens or (0, around)
        return least, max(least, min(most, around))

    def measured(self) -> Measure:
        """The input's measure, linear in its text; its images as large as the window.

        `billed_as` makes less of them, once it is known which model will be billed.
        """
        return measure(
            self.texts,
            self.schema_text,
            overhead_tokens=self.overhead_tokens,
            counted_tokens=self.counted_tokens,
            window=bool(self.window) or any(one.kind == IMAGE for one in self.media),
            requests=self.requests,
            windows=self.windows,
        )

    def billed_as(self, measured: Measure, model: str, *, aliases: Iterable[str] = ()) -> Measure:
        """What `measured` gave, with what its images take on the model that will be billed.

        model, aliases: the names by which the price book knows it, which need not be the request's:
            an endpoint or a comparison may have put another one in its place.
        """
        details = [one.detail for one in self.media if one.kind == IMAGE]
        if self.window or not details:
            return measured
        from noburn_cli.core.image_tokens import image_max  # Few programs send images.

        names = tuple(aliases)
        known = {detail: image_max(model, detail, aliases=names) for detail in set(details)}
        overhead = measured.overhead
        for detail in details:
            most = known[detail]
            if most is None:
                return measured
            overhead += most
        return replace(measured, overhead=overhead, window=False)

    def kinds(self) -> tuple[str, ...]:
        """Every priced kind this call can use."""
        return self.input_kinds if self.output is None else (*self.input_kinds, *self.output_kinds)
