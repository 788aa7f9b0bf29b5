"""Counts what one request's input is made of, each thing once for all the models it is priced on.

Layer: I/O (tiktoken's ranks are read from disk).  Below: ranks, core.input_sizes and what it is
made of (core.offline_counts, core.media_tokens, core.tool_schemas).  Above: estimating.
Not here: large inputs, which are read in parts (counting); the provider's own count
(provider_count); money.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from noburn_cli import ranks
from noburn_cli.core.bounds import Measure, utf8_bytes
from noburn_cli.core.input_sizes import NO_MEDIA, NOTHING, InputSize, Span, size_of
from noburn_cli.core.media_tokens import media_tokens
from noburn_cli.core.models import Model
from noburn_cli.core.offline_counts import OfflineCount, family_of, offline_count
from noburn_cli.core.text_features import features
from noburn_cli.core.tool_schemas import schema_tokens
from noburn_cli.providers.call import Call

#: Whose count an offline estimate starts from.
BASE = "o200k_base"


@dataclass
class InputCounts:
    """The counts of one request so far.

    exact: tokens of its texts by encoding; features: of its texts, or None before somebody asked.
    joints: how often a text was counted in two where a token may reach across.
    """

    call: Call
    exact: dict[str, int] = field(default_factory=dict)
    features: list[int] | None = None
    joints: int = 0
    _seams_of: dict[str, int] = field(default_factory=dict)
    _schemas: dict[tuple[str, str], int] = field(default_factory=dict)

    def size(self, model: Model, measured: Measure) -> InputSize:
        """How large the input is on a model: what is expected of it, and the most."""
        call = self.call
        counted = measured.counted is not None or bool(measured.windows)
        hidden = bool(call.window) and call.unseen
        unknown = counted or hidden
        return size_of(
            model,
            measured,
            text_tokens=None if unknown else self._text_tokens(model),
            schema_bytes=utf8_bytes(call.schema_text),
            seams=0 if unknown else self._seams(model),
            frame=Span(*call.frame_range()),
            offline=None if unknown else self._offline(model),
            schema=NOTHING if unknown else self._schema(model),
            media=NO_MEDIA
            if unknown
            else media_tokens(call.media, tokenizer=model.tokenizer, model=model.name),
            unseen=hidden,
            joints=self.joints,
        )

    def _text_tokens(self, model: Model) -> int | None:
        """The exact count of the texts, once per encoding; None without an encoding."""
        name = model.tokenizer
        if not ranks.can_count(name):
            return None
        if name not in self.exact:
            self.exact[name] = sum(ranks.count(name, text) for text in self.call.texts)
        return self.exact[name]

    def _seams(self, model: Model) -> int:
        """What joining the texts can add to their exact count, once per encoding."""
        name = model.tokenizer
        if len(self.call.texts) < 2 or not ranks.can_count(name):
            return 0
        if name not in self._seams_of:
            self._seams_of[name] = ranks.seams(name, self.call.texts)
        return self._seams_of[name]

    def _offline(self, model: Model) -> OfflineCount | None:
        """An estimate of the texts for a tokeniser that is not here."""
        family = family_of(model.tokenizer, model.name)
        if family is None:
            return None
        if self.features is None:
            counted = [features(text, ranks.count(BASE, text)) for text in self.call.texts]
            self.features = [sum(one) for one in zip(*counted, strict=True)]
        return offline_count(family, self.features)

    def _schema(self, model: Model) -> Span:
        """What tools and formats may come to, which the provider words in its own way."""
        call = self.call
        if not call.schema_text:
            return NOTHING
        family = family_of(model.tokenizer, model.name)
        if family is None and not ranks.can_count(model.tokenizer):
            return Span(0, utf8_bytes(call.schema_text))
        found = schema_tokens(
            call.tools,
            call.rest_schema if call.tools else call.schema_text,
            forced=call.tool_forced,
            tokenizer=model.tokenizer,
            model=model.name,
            count=lambda text: self._count(text, family, model.tokenizer),
        )
        return Span(*found)

    def _count(self, text: str, family: str | None, encoding: str) -> int:
        """Tokens of one piece of a schema, exact or estimated, each counted once."""
        key = (family or encoding, text)
        if key not in self._schemas:
            if family is None:
                self._schemas[key] = ranks.count(encoding, text)
            else:
                values = features(text, ranks.count(BASE, text))
                self._schemas[key] = offline_count(family, values).tokens
        return self._schemas[key]
