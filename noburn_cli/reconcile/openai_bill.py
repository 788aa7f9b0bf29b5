"""OpenAI's usage and costs, as its organization API and its dashboard export them.

Layer: reconcile, pure.  Below: bill, core.usage.  Above: formats, live.
Owns: the fields of the usage results by object, of the costs, and what a line item says.
Sources: the usage and costs types of the openai Python library 3.57.0 (`openai/types/admin/
organization/usage_*_response.py`, `usage_costs_params.py`), read 2026-11-27; line items as users
quote them from the costs API and the dashboard (`gpt-5.5-2026-04-23, cached input`, `priority |
gpt-5.6-sol, output, long context`, `gpt-image-2.5-flare image, output`, `web search tool calls`),
and the heading of the dashboard's CSV files, looked up 2026-11-27.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from noburn_cli.core.usage import (
    AUDIO_CACHE_READ,
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    AUDIO_SECONDS,
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    CHARACTERS,
    FILE_SEARCH,
    IMAGE_CACHE_READ,
    IMAGE_INPUT,
    IMAGE_OUTPUT,
    INPUT,
    OUTPUT,
    WEB_SEARCH,
)
from noburn_cli.errors import InputRefused
from noburn_cli.reconcile.bill import BillRow, count, day_of_seconds, dollars_only, exact

COSTS = "organization.costs.result"
_USAGE = "organization.usage."
#: Fields that count tokens of one kind and nothing else.
_PLAIN = {
    "input_audio_tokens": AUDIO_INPUT,
    "input_cached_audio_tokens": AUDIO_CACHE_READ,
    "input_image_tokens": IMAGE_INPUT,
    "input_cached_image_tokens": IMAGE_CACHE_READ,
    "output_audio_tokens": AUDIO_OUTPUT,
    "output_image_tokens": IMAGE_OUTPUT,
}
#: Counts that are no tokens, by the field of their usage result.
_UNITS = {"characters": CHARACTERS, "seconds": AUDIO_SECONDS}
_LINE_ITEM = re.compile(
    r"(?:(?P<tier>[\w-]+) \| )?(?P<model>[^\s,|]+)(?: (?P<modality>text|audio|image))?"
    r", ?(?P<kind>[^,|]+)(?:, ?(?P<more>[^|]+))?"
)
_ITEM_KINDS = {
    ("input", ""): INPUT,
    ("cached input", ""): CACHE_READ,
    ("output", ""): OUTPUT,
    ("input", "audio"): AUDIO_INPUT,
    ("cached input", "audio"): AUDIO_CACHE_READ,
    ("output", "audio"): AUDIO_OUTPUT,
    ("input", "image"): IMAGE_INPUT,
    ("cached input", "image"): IMAGE_CACHE_READ,
    ("output", "image"): IMAGE_OUTPUT,
}
_FEES = (("web search", WEB_SEARCH), ("file search", FILE_SEARCH))


def read_buckets(buckets: Iterable[Mapping[str, Any]], source: str) -> list[BillRow]:
    """The rows in the buckets of one or more pages.  Raises InputRefused."""
    rows: list[BillRow] = []
    for bucket in buckets:
        day = day_of_seconds(bucket.get("start_time"), bucket.get("end_time"), source)
        results = bucket.get("results", bucket.get("result"))
        if not isinstance(results, list):
            raise InputRefused(f"{source}: the bucket of {day} has no results")
        rows.extend(_result(day, one, source) for one in results)
    return rows


def _result(day: str, result: Mapping[str, Any], source: str) -> BillRow:
    kind = str(result.get("object", ""))
    if kind == COSTS:
        return cost_row(day, _amount(result, source), result, source)
    if kind.startswith(_USAGE):
        return usage_row(day, result, source)
    raise InputRefused(
        f"{source} has a result of {kind!r}", why="known are organization.usage.* and .costs"
    )


def _amount(result: Mapping[str, Any], source: str) -> object:
    amount = result.get("amount") or {}
    dollars_only(amount.get("currency"), source)
    return amount.get("value", 0)


def cost_row(day: str, amount: object, fields: Mapping[str, Any], source: str) -> BillRow:
    """A row of the costs API, or of the dashboard's cost export.  Raises InputRefused."""
    item = str(fields.get("line_item") or "")
    model, kind, fee = line_item(item)
    return BillRow(
        day, model, dollars=exact(amount, f"{source}: an amount"), kind=kind, fee=fee,
        key=str(fields.get("api_key_id") or ""), project=str(fields.get("project_id") or ""),
    )  # fmt: skip


def line_item(item: str) -> tuple[str, str, str]:
    """(model, kind of token, kind of fee) that a line item names, each "" where it names none.

    What names no model stands for itself, as `vector storage` does.
    """
    for words, fee in _FEES:
        if words in item.lower():
            return item, "", fee
    match = _LINE_ITEM.fullmatch(item)
    if match is None:
        return item, "", ""
    said = (
        match["kind"]
        .replace("_tokens", "")
        .replace("_", " ")
        .replace("input cached", "cached input")
    )
    modality = (match["modality"] or "").replace("text", "")
    # A tier or a long context has rates of its own: the row is money of the model, of no one rate.
    plain = match["tier"] is None and match["more"] is None
    return match["model"], _ITEM_KINDS.get((said.strip(), modality), "") if plain else "", ""


def usage_row(day: str, fields: Mapping[str, Any], source: str) -> BillRow:
    """A row of a usage API, or of the dashboard's activity export.  Raises InputRefused."""

    def number(name: str) -> int:
        return count(fields.get(name), f"{source}: {name}")

    tokens = {kind: number(name) for name, kind in {**_PLAIN, **_UNITS}.items()}
    writes = _writes(number)
    tokens.update(writes)
    tokens[CACHE_READ] = number("input_cached_tokens")
    if number("input_cached_text_tokens"):
        tokens[CACHE_READ] = number("input_cached_text_tokens")
    else:
        tokens[CACHE_READ] -= tokens[AUDIO_CACHE_READ] + tokens[IMAGE_CACHE_READ]
    tokens[INPUT] = _rest(fields, number, tokens, writes)
    tokens[OUTPUT] = number("output_tokens") - tokens[AUDIO_OUTPUT] - tokens[IMAGE_OUTPUT]
    if any(value < 0 for value in tokens.values()):
        raise InputRefused(
            f"{source}: the tokens of {fields.get('model') or day} do not add up",
            why="cached, audio and image tokens are part of input_tokens and output_tokens",
        )
    fee = _fee_units(fields, number)
    requests = fields.get("num_model_requests")
    return BillRow(
        day, str(fields.get("model") or ""),
        requests=None if requests in (None, "") or fee else number("num_model_requests"),
        tokens={**{kind: value for kind, value in tokens.items() if value}, **fee},
        key=str(fields.get("api_key_id") or ""), project=str(fields.get("project_id") or ""),
    )  # fmt: skip


def _writes(number: Any) -> dict[str, int]:
    """Cache writes by the price book's kinds: 30 minutes are the shorter one, 12 hours the longer.

    A total without a split counts as the shorter.
    """
    short, long = number("input_cache_write_30m_tokens"), number("input_cache_write_12h_tokens")
    total = number("input_cache_write_tokens")
    return {CACHE_WRITE_5M: max(short, total - long), CACHE_WRITE_1H: long}


def _rest(
    fields: Mapping[str, Any], number: Any, tokens: Mapping[str, int], writes: Mapping[str, int]
) -> int:
    """Uncached input of text."""
    if fields.get("input_text_tokens") not in (None, ""):
        return int(number("input_text_tokens"))
    known = sum(writes.values()) + sum(
        tokens[kind]
        for kind in (CACHE_READ, AUDIO_INPUT, AUDIO_CACHE_READ, IMAGE_INPUT, IMAGE_CACHE_READ)
    )
    return int(number("input_tokens")) - known


def _fee_units(fields: Mapping[str, Any], number: Any) -> dict[str, int]:
    """Searches, which have an object of their own each."""
    kind = str(fields.get("object", ""))
    if kind.startswith(f"{_USAGE}web_search"):
        return {WEB_SEARCH: number("num_requests")}
    if kind.startswith(f"{_USAGE}file_search"):
        return {FILE_SEARCH: number("num_requests")}
    return {}
