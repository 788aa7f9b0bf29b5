"""The size of one request's input on a model: what is expected of it, and the most.

Layer: core (pure).  Below: core.bounds, core.offline_counts, core.media_tokens, core.models.
Above: core.estimates prices it; estimating counts what it is made of.
Not here: money, reading inputs, counting tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from noburn_cli.core.bounds import (
    ASSUMED,
    BYTES,
    COUNTED,
    EXACT,
    SEAM_TOKENS,
    TEMPLATED,
    WINDOW,
    Bound,
    Measure,
    exact_bound,
    input_bound,
    overhead_max,
)
from noburn_cli.core.media_tokens import Expected
from noburn_cli.core.models import Model
from noburn_cli.core.offline_counts import MeasuredError, OfflineCount
from noburn_cli.core.spans import NOTHING as NOTHING
from noburn_cli.core.spans import Span as Span
from noburn_cli.errors import InputRefused

#: How an expectation was reached where its error was measured: between what is counted and what is
#: only `assumed`.  No bound is ever reached so.
ESTIMATED = "estimated"
#: How sure an expectation or a bound is, the most certain first.
SURENESS = (EXACT, COUNTED, BYTES, WINDOW, ESTIMATED, ASSUMED)

#: What a server's template puts around a request beyond twice OpenAI's marks, as expected: the
#: longest that is published is gpt-oss's, a system message of some 70 tokens (openai-harmony).
#: Not a bound: core.bounds allows for more.
TEMPLATE_EXPECTED_TOKENS = 96
#: More tokens than any window has.
_NO_WINDOW = 10**15
#: A request without media: nothing is expected of it, for sure.
NO_MEDIA = Expected(0, 0, sure=True)


@dataclass(frozen=True)
class InputSize:
    """How large a request's input is.

    expected: tokens that will be billed, or None where nothing sure can be said.
    expected_how: `exact`, `counted`, `estimated` or `assumed`; "" without an expectation.
    bound: the most tokens that can be billed.
    error: how far such an estimate of the text was off when it was measured, or None.
    audio: how much of `expected` is billed as audio.
    """

    expected: Span | None
    expected_how: str
    bound: Bound
    error: MeasuredError | None = None
    audio: Span = NOTHING


def size_of(
    model: Model,
    measured: Measure,
    *,
    text_tokens: int | None,
    schema_bytes: int,
    seams: int = 0,
    frame: Span = NOTHING,
    offline: OfflineCount | None = None,
    schema: Span = NOTHING,
    media: Expected | None = NO_MEDIA,
    unseen: bool = True,
    joints: int = 0,
) -> InputSize:
    """The size of one request's input on a model.

    text_tokens: the texts' exact count by the model's own encoding, each by itself, or None.
    seams: what joining the texts can add to it, see core.seams.
    frame: tokens expected around the texts.  The count is `exact` only where these are, too.
    offline: the texts' estimate for a tokeniser that is not here, or None.
    schema: tokens expected of what the provider renders in its own way.
    media: what is expected of images, documents and recordings, or None where nothing can be.
    unseen: whether more than they makes the window bound the input.
    joints: how often a text was counted in two where a token may reach across; then it is a range.
    """
    # A formula above what its codec allows for would be a bound that is none.
    assert measured.window or media is None or media.high <= measured.overhead
    if measured.counted is not None:
        bound = input_bound(
            measured, tokenizer=model.tokenizer, context_window=model.context_window
        )
        return InputSize(Span(measured.counted, measured.counted), COUNTED, bound)
    hidden = measured.windows or (measured.window and unseen)
    if hidden or media is None:
        bound = input_bound(
            measured, tokenizer=model.tokenizer, context_window=model.context_window
        )
        return InputSize(None, "", bound)
    if text_tokens is not None:
        if model.tokenizer in TEMPLATED and frame != NOTHING:
            # Whose marks are not OpenAI's: one for the request at least.
            frame = Span(1, 2 * frame.high + TEMPLATE_EXPECTED_TOKENS)
        cuts = SEAM_TOKENS * joints
        known = text_tokens + measured.tokens + frame.low + schema.low + media.low
        known = max(0, known - cuts)
        around = overhead_max(model.tokenizer, measured.overhead, measured.requests)
        exact = exact_bound(
            text_tokens, schema_bytes, around, measured.tokens,
            tokenizer=model.tokenizer, seams=seams,
        )  # fmt: skip
        most = text_tokens + measured.tokens + frame.high + schema.high + media.high + cuts
        how = EXACT if known == most and media.sure and not schema.high else ASSUMED
        if frame.low < frame.high:
            most += seams  # Some texts are joined; where the frame is known, none is.
        bound = exact
        if measured.window:
            bound = input_bound(
                measured, tokenizer=model.tokenizer, context_window=model.context_window
            )
        elif joints:  # What such a cut changes has no bound of its own; `_capped` has the window.
            bound = input_bound(measured, tokenizer=model.tokenizer, context_window=_NO_WINDOW)
            most = max(known, min(most, bound.tokens))
        assert measured.window or most <= bound.tokens
        capped = _capped(bound, known, model)
        return InputSize(Span(known, most), how, capped, audio=Span(*media.audio))
    bound = input_bound(measured, tokenizer=model.tokenizer, context_window=model.context_window)
    if offline is None:
        return InputSize(None, "", bound)
    ids = Span(measured.tokens, measured.tokens)
    expected = Span(*offline.span()) + frame + schema + ids + Span(media.low, media.high)
    most = max(expected.low, min(expected.high, bound.tokens))
    how = ESTIMATED if media.sure and not schema.high else ASSUMED
    error = offline.error if offline.tokens else None  # It was measured on texts.
    return InputSize(Span(expected.low, most), how, bound, error, Span(*media.audio))


def _capped(bound: Bound, known: int, model: Model) -> Bound:
    """A bound inside the window; a text that is itself larger stays visible as such."""
    return (
        bound
        if known > model.context_window
        else Bound(min(bound.tokens, model.context_window), bound.how)
    )


def check_fits(model: Model, size: InputSize, *, where: str) -> None:
    """Raises InputRefused when the input is larger than the model takes.

    Where only a range is known, its low end decides, and the message says so.
    """
    limit = min(model.context_window, model.input_max)
    if size.expected is None or size.expected.low <= limit:
        return
    about = "at least " if size.expected_how in (ESTIMATED, ASSUMED) else ""
    raise InputRefused(
        f"{where} does not fit `{model.name}`: {about}{size.expected.low:,} tokens",
        why=f"it takes at most {limit:,} tokens of input",
        next_step=f"split it into at least {-(-size.expected.low // limit)} parts, "
        "or see which models it fits: noburn estimate --compare",
    )
