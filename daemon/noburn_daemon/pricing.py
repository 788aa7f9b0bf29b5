"""From a reserve frame to the most it can cost; from a settlement's usage to its cost.

Layer: daemon, pure (price books are given).  Below: core.bounds, core.pricebook.
Above: reserving, ending.
Owns: which book prices what (new holds the newest, settlements the one stamped on the hold), and a
cache of rates, because the same few models come with nearly every call.
Not here: budgets (admission), reading price files (noburn_cli.prices).
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable
from dataclasses import dataclass

from noburn_cli.core.bounds import ASSUMED, BYTES, WINDOW, how_counted, input_tokens_max
from noburn_cli.core.money import AMOUNT_MAX, PICO_PER_NANO, nano_from_pico_half_even
from noburn_cli.core.pricebook import (
    HoldRates,
    Model,
    PriceBook,
    RateOrigin,
    RateRow,
    Tier,
    call_cost,
    extra_hold_rates,
    hold_rates,
    rate_of,
)
from noburn_cli.core.usage import EXTRA_TOKEN_KINDS, PRICED_KINDS
from noburn_cli.errors import CallUnbounded, NoburnError, PriceUnknown
from noburn_cli.ranks import can_count
from noburn_daemon.admission import Quote
from noburn_daemon.frames import Reserve, Usage, extra_text

#: A call may run this long on rates that start meanwhile.
CALL_MS_MAX = 3_600_000
_MINUTE_MS = 60_000
_CACHE_MAX = 4096


class _Tier:
    """What a settlement costs with more than so many input tokens: pico-dollars per token.

    unknown: kinds without a rate, 0 here; whoever used them is refused.
    """

    __slots__ = (
        "above_input_tokens", "cache_read", "cache_write_1h", "cache_write_5m", "input", "output",
        "unknown",
    )  # fmt: skip

    def __init__(
        self, above_input_tokens: int, rates: dict[str, int], unknown: tuple[str, ...]
    ) -> None:
        self.above_input_tokens = above_input_tokens
        self.input = rates["input"]
        self.cache_read = rates["cache_read"]
        self.cache_write_5m = rates["cache_write_5m"]
        self.cache_write_1h = rates["cache_write_1h"]
        self.output = rates["output"]
        self.unknown = unknown


@dataclass(frozen=True)
class _Rates:
    """A model's dearest rates by input size: `rates[i]` up to `input_max[i]` tokens, then the
    last."""

    model: Model
    text: str
    input_max: tuple[int, ...]
    rates: tuple[tuple[int, int, str], ...]


class Pricing:
    """Prices calls; `book` may be replaced, older ones stay for the holds stamped with them."""

    def __init__(
        self, book: PriceBook, texts_of: Callable[[str], list[tuple[str, str]] | None]
    ) -> None:
        self.book = book
        self.factors: dict[str, int] = {}
        self._texts_of = texts_of
        self._books = {book.version: book}
        self._cache: dict[tuple[object, ...], _Rates] = {}
        self._tiers: dict[tuple[str, str, str, int], tuple[_Tier, ...]] = {}

    def replace_book(self, book: PriceBook) -> None:
        """Price new calls with another book from now on."""
        self.book = self._books[book.version] = book
        self._cache.clear()

    def tokenizer(self, model: str) -> str:
        """The tokenizer of a model as asked for.  Raises ModelUnknown."""
        return self.book.resolve(model).tokenizer

    def quote(self, frame: Reserve, *, now_ms: int, exact_tokens: int | None = None) -> Quote:
        """Bound a call and price it at the dearest rates that may apply while it runs.

        exact_tokens: the whole input, when its text was tokenised here.
        Raises: ModelUnknown, PriceUnknown; CallUnbounded when no number is high enough.
        """
        if not frame.model:
            return _ceiling_alone(frame, book=self.book.version)
        found = self._rates(frame, now_ms)
        model = found.model
        factor = self.factors.get(model.name, 1000)
        if exact_tokens is None:
            tokens, how = input_tokens_max(
                frame.input,  # type: ignore[arg-type]  # it has the same fields
                model.tokenizer, model.context_window, factor,
            )  # fmt: skip
        else:
            raised = -(-exact_tokens * factor // 1000)
            tokens, how = min(raised, model.context_window), how_counted(model.tokenizer)
        quote = _with_output(
            frame, found, tokens, how, factor, self.book.version, counted=exact_tokens is not None
        )
        if frame.extra:
            self._add_extra(quote, frame, model, now_ms)
        if frame.ceiling is not None:
            _add_ceiling(quote, frame.ceiling)
        if frame.extra or frame.ceiling is not None:
            quote.full = quote.weights(quote.want)
        if quote.full[0] > AMOUNT_MAX:
            raise CallUnbounded(f"a call of `{model.name}` could cost more than any ledger holds")
        return quote

    def cost(self, *, version: str, model: str, usage: Usage, variant: str, at_ms: int) -> int:
        """Nano-dollars of one settled call, by the book stamped on its hold.

        at_ms: when it was reserved.
        Raises: PriceUnknown when a kind or variant has no rate, or the book is gone.
        """
        if usage.extra:
            return self._cost_by_the_book(version, model, usage, variant, at_ms)
        key = (version, model, variant, at_ms // _MINUTE_MS)
        tiers = self._tiers.get(key)
        if tiers is None:
            if len(self._tiers) >= _CACHE_MAX:
                self._tiers.clear()
            tiers = self._tiers[key] = self._settlement_tiers(version, model, variant, at_ms)
        rates = tiers[0]
        if len(tiers) > 1:
            went_in = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
            for tier in tiers[1:]:
                if went_in > tier.above_input_tokens:
                    rates = tier
        for kind in rates.unknown:
            if getattr(usage, kind):
                return self._cost_by_the_book(version, model, usage, variant, at_ms)
        return nano_from_pico_half_even(
            usage.input * rates.input
            + usage.cache_read * rates.cache_read
            + usage.cache_write_5m * rates.cache_write_5m
            + usage.cache_write_1h * rates.cache_write_1h
            + usage.output * rates.output
        )

    def _cost_by_the_book(
        self, version: str, model: str, usage: Usage, variant: str, at_ms: int
    ) -> int:
        """The same, slowly: it knows the further kinds, and how to say what has no price."""
        book = self._books.get(version) or self._older_book(version)
        return call_cost(book.resolve(model), usage.by_kind(), variant=variant, at_ms=at_ms)

    def _settlement_tiers(
        self, version: str, model: str, variant: str, at_ms: int
    ) -> tuple[_Tier, ...]:
        """What core.cost would look up for each call; rows start at whole minutes."""
        book = self._books.get(version) or self._older_book(version)
        found = book.resolve(model)
        row = found.row_at(variant, at_ms)
        if row is None:
            call_cost(found, {}, variant=variant, at_ms=at_ms)  # which says why
            raise AssertionError("a call without a row has no cost")
        return tuple(_tier_rates(found, row, tier) for tier in row.tiers)

    def _older_book(self, version: str) -> PriceBook:
        texts = self._texts_of(version)
        if texts is None:
            raise PriceUnknown(
                f"the ledger does not hold price book {version}",
                why="the call was priced with it",
                next_step="restore the ledger from a backup (`noburn ledger verify` says more)",
            )
        book = self._books[version] = PriceBook.from_texts(texts)
        return book

    def _add_extra(self, quote: Quote, frame: Reserve, model: Model, now_ms: int) -> None:
        """Add the most that fees and further tokens come to, and where their rates are from."""
        origins = extra_hold_rates(
            model,
            kinds=frame.extra,
            variants=frame.variants,
            from_ms=now_ms,
            until_ms=now_ms + CALL_MS_MAX,
        )
        for kind, count in frame.extra.items():
            quote.flat_pico += count * origins[kind].pico_per_token
            quote.flat_tokens += count if kind in EXTRA_TOKEN_KINDS else 0
        quote.extra = extra_text(frame.extra)
        note = json.loads(quote.rates_note)
        note["extra"] = {kind: _origin(origin) for kind, origin in origins.items()}
        quote.rates_note = json.dumps(note, separators=(",", ":"))

    def _rates(self, frame: Reserve, now_ms: int) -> _Rates:
        minute = now_ms // _MINUTE_MS
        key = (
            *(frame.api, frame.model, frame.variants, frame.input_kinds, frame.output_kinds),
            minute,
        )
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= _CACHE_MAX:
                self._cache.clear()
            found = self._cache[key] = self._look_up(frame, minute * _MINUTE_MS)
        return found

    def _look_up(self, frame: Reserve, from_ms: int) -> _Rates:
        model = self.book.resolve(frame.model)
        steps = {t.above_input_tokens for row in model.rows for t in row.tiers} - {0}
        limits = sorted(steps)
        rates = []
        for tokens_max in (*limits, 10**15):
            dearest = hold_rates(
                model,
                variants=frame.variants,
                input_kinds=frame.input_kinds,
                input_tokens_max=tokens_max,
                from_ms=from_ms,
                until_ms=from_ms + _MINUTE_MS + CALL_MS_MAX,
                output_kinds=frame.output_kinds,
            )
            rates.append((dearest.input_pico, dearest.output_pico, _note(dearest)))
        text = json.dumps([frame.api, frame.model, model.name], separators=(",", ":"))
        return _Rates(model, text, tuple(limits), tuple(rates))


def _with_output(
    frame: Reserve, found: _Rates, tokens: int, how: str, factor: int, book: str, *, counted: bool
) -> Quote:
    model = found.model
    steps = found.input_max
    place = bisect.bisect_left(steps, tokens) if steps else 0
    input_pico, output_pico, note = found.rates[place]
    output = frame.output
    own_max = model.output_max or 0
    want = floor = choices = 0
    asked = None
    if output is not None and model.output_max is not None:
        choices = output.choices
        asked = output.wanted
        want = own_max if asked is None else asked
        if frame.downgraded:
            want = min(want, own_max)  # The cap was meant for another model.
        may_clamp = asked is None or output.clamp
        floor = min(want, max(output.floor, model.output_min)) if may_clamp else want
    refine_by = ""
    # A byte bound above the context window says `window`, and can be refined as well; one that
    # allows for a server's template says `assumed`.
    measured = frame.input
    if not (
        counted or frame.refined or measured.counted is not None or measured.window
        or measured.windows or measured.requests > 1
    ) and how in (BYTES, WINDOW, ASSUMED):  # fmt: skip
        refine_by = "text" if can_count(model.tokenizer) else "count"
    return Quote(  # by position, which is faster
        tokens, how, input_pico, output_pico, choices, want, floor, own_max, asked, found.text,
        model.name, book, note, factor, refine_by,
    )  # fmt: skip


def _add_ceiling(quote: Quote, ceiling_nano: int) -> None:
    quote.flat_pico += ceiling_nano * PICO_PER_NANO
    quote.ceiling_nano = ceiling_nano
    quote.how = ASSUMED


def _ceiling_alone(frame: Reserve, *, book: str) -> Quote:
    """A request that names no model is held for its ceiling; its usage is never learnt."""
    if frame.ceiling is None:
        raise CallUnbounded("the call names no model, and no ceiling was given for it")
    text = json.dumps([frame.api, "", ""], separators=(",", ":"))
    quote = Quote(0, ASSUMED, 0, 0, 0, 0, 0, 0, None, text, "", book, "{}", 1000, "")
    _add_ceiling(quote, frame.ceiling)
    quote.full = quote.weights(0)
    return quote


def _tier_rates(model: Model, row: RateRow, tier: Tier) -> _Tier:
    rates = dict.fromkeys(PRICED_KINDS, 0)
    unknown = []
    for kind in PRICED_KINDS:
        try:
            rates[kind] = rate_of(model, row, tier, kind)
        except PriceUnknown:
            unknown.append(kind)
    return _Tier(tier.above_input_tokens, rates, tuple(unknown))


def _note(rates: HoldRates) -> str:
    origins = {"input": _origin(rates.input)}
    if rates.output is not None:
        origins["output"] = _origin(rates.output)
    return json.dumps(origins, separators=(",", ":"))


def _origin(rate: RateOrigin) -> dict[str, object]:
    return {
        "pico_per_token": rate.pico_per_token,
        "kind": rate.kind,
        "variant": rate.variant,
        "above_input_tokens": rate.above_input_tokens,
        "starts_on": rate.row.starts_on.isoformat(),
        "url": rate.row.url,
        "checked_on": rate.row.checked_on.isoformat(),
    }


def refusal_word(error: NoburnError) -> str:
    """The protocol's word for an error that pricing raised."""
    from noburn_cli import protocol
    from noburn_cli.errors import ModelUnknown

    if isinstance(error, ModelUnknown):
        return protocol.MODEL_UNKNOWN
    return protocol.UNBOUNDED if isinstance(error, CallUnbounded) else protocol.PRICE_UNKNOWN
