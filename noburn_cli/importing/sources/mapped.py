"""Anybody's table or JSON lines, read by a mapping from our words to its columns.

Layer: importing, pure.  Below: fields, tokens, reading.  Above: commands (which reads `--map`).
Owns: the words of `noburn import csv --map`, and what each of them means.  For bills that are
compared with the ledger there is `noburn ledger reconcile --map`, with some of the same words.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from noburn_cli.core.budgets import ATTRIBUTES, TAG_PREFIX, check_key
from noburn_cli.core.imported import BILLED, ESTIMATED, ImportedCall
from noburn_cli.core.usage import (
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    FEE_KINDS,
    IMAGE_INPUT,
    IMAGE_OUTPUT,
    INPUT,
    OUTPUT,
    REASONING,
)
from noburn_cli.core.variants import STANDARD, VARIANTS
from noburn_cli.errors import UsageError
from noburn_cli.importing.fields import (
    Unread,
    count_of,
    field_of,
    milliseconds_of,
    moment_ms,
    nano_of,
    status_of,
    tells_any,
    text_of,
)
from noburn_cli.importing.reading import Asked, Found, PlainReader
from noburn_cli.importing.tokens import disjoint

#: Words for columns, besides attributes and kinds of usage.
WORDS = {
    "time": "when the call was made: ISO 8601, or seconds, milli- or microseconds since the epoch",
    "model": "the model's name",
    "cost": "dollars",
    "cost_cents": "cents",
    "id": "an id of the row that never changes; without one rows are known by their content",
    "provider_id": "the provider's id of the answer",
    "provider": "who served the model",
    "requests": "how many calls the row sums",
    "latency_ms": "how long it took, in milliseconds",
    "status": "the HTTP status",
    "failure": "why it failed; empty when it did not",
    "variant": "standard, batch, flex, priority or fast",
}
KINDS = (
    INPUT, CACHE_READ, CACHE_WRITE_5M, CACHE_WRITE_1H, OUTPUT, REASONING, AUDIO_INPUT, AUDIO_OUTPUT,
    IMAGE_INPUT, IMAGE_OUTPUT, *FEE_KINDS,
)  # fmt: skip
_NEEDED = ("time", "model")
_FAILED = 400


@dataclass(frozen=True)
class Columns:
    """A mapping.  columns: our word to the column, or to the path of a field.

    inclusive: whether `input` has the cached tokens in it.  trust: whether costs were charged.
    zone: of times that name none, by its name; "" for the command's.
    """

    columns: Mapping[str, str]
    attributes: Mapping[str, str] = field(default_factory=dict)
    inclusive: bool | None = None
    trust: str = BILLED
    zone: str = ""
    provider: str = ""


def columns_from(pairs: Mapping[str, object], settings: Mapping[str, object]) -> Columns:
    """A checked mapping.  Raises UsageError for unknown words, and without a time or a model."""
    columns: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for word, column in pairs.items():
        if not isinstance(column, str) or not column.strip():
            raise UsageError(f"{word} is mapped to no column")
        if word in ATTRIBUTES or word.startswith(TAG_PREFIX):
            attributes[check_key(word)] = column.strip()
        elif word in WORDS or word in KINDS:
            columns[word] = column.strip()
        else:
            raise _unknown(word, (*WORDS, *KINDS, *ATTRIBUTES), "a column cannot be mapped to")
    for needed in _NEEDED:
        if needed not in columns:
            raise UsageError(
                f"the mapping names no column for the {needed}",
                next_step=f"add {needed}=COLUMN to --map",
            )
    return Columns(columns, attributes, **_settings(settings))


def _settings(settings: Mapping[str, object]) -> dict[str, Any]:
    known = ("input_includes_cache", "costs_are", "zone", "provider")
    for word in settings:
        if word not in known:
            raise _unknown(word, known, "the mapping has no setting")
    inclusive = settings.get("input_includes_cache")
    if inclusive is not None and type(inclusive) is not bool:
        raise UsageError("input_includes_cache is true or false")
    trust = settings.get("costs_are", BILLED)
    if trust not in (BILLED, ESTIMATED):
        raise UsageError(f"costs_are is {BILLED} or {ESTIMATED}, not {trust!r}")
    zone = text_of(settings.get("zone"))
    if zone:
        zone_of(zone)
    return {
        "inclusive": inclusive, "trust": trust, "zone": zone,
        "provider": text_of(settings.get("provider")),
    }  # fmt: skip


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name.  Raises UsageError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(
            f"there is no time zone {name!r}", next_step="write it like Europe/Berlin or UTC"
        ) from error


def _unknown(word: str, known: tuple[str, ...], what: str) -> UsageError:
    near = difflib.get_close_matches(word, known, n=2, cutoff=0.5)
    return UsageError(
        f"{what} {word!r}", why=f"known are {', '.join(known)}",
        next_step=f"did you mean {' or '.join(near)}?" if near else "",
    )  # fmt: skip


def reader(columns: Columns, asked: Asked) -> PlainReader:
    """The reader of a file by a mapping."""
    return PlainReader(lambda record, _: read(record, asked, columns), asked)


def read(record: Mapping[str, Any], asked: Asked, columns: Columns) -> Found:
    """One row.  Raises Unread."""
    said = {word: field_of(record, column) for word, column in columns.columns.items()}
    for word in _NEEDED:
        if said[word] in (None, ""):
            raise Unread(f"it has no {word}", columns.columns[word])
    zone = ZoneInfo(columns.zone) if columns.zone else asked.zone
    attributes = asked.mapped.attributes(
        record, {name: (column,) for name, column in columns.attributes.items()}
    )
    status, failure = status_of(said.get("status")), text_of(said.get("failure"), 60)
    failed = bool(failure) or (status or 0) >= _FAILED
    requests = count_of(said["requests"], "requests") if said.get("requests") else 1
    return ImportedCall(
        text_of(said.get("id")), moment_ms(said["time"], zone), text_of(said["model"]),
        _usage(said, columns), said_nano=_cost(said), variant=_variant(said),
        attributes=attributes, maker=text_of(said.get("provider")).lower() or columns.provider,
        requests=requests, ran_ms=milliseconds_of(said.get("latency_ms")),
        status=status, failure=failure,
        provider_id=text_of(said.get("provider_id")),
        tells_tokens=failed or tells_any(*(said.get(kind) for kind in KINDS)),
    )  # fmt: skip


def _usage(said: Mapping[str, Any], columns: Columns) -> dict[str, int]:
    counts = {kind: count_of(said.get(kind), kind) for kind in KINDS}
    usage = disjoint(
        input_tokens=counts[INPUT], output_tokens=counts[OUTPUT], cache_read=counts[CACHE_READ],
        write_5m=counts[CACHE_WRITE_5M], write_1h=counts[CACHE_WRITE_1H],
        reasoning=counts[REASONING], audio_input=counts[AUDIO_INPUT],
        audio_output=counts[AUDIO_OUTPUT], image_input=counts[IMAGE_INPUT],
        image_output=counts[IMAGE_OUTPUT], inclusive=columns.inclusive,
    )  # fmt: skip
    return {**usage, **{kind: counts[kind] for kind in FEE_KINDS if counts[kind]}}


def _cost(said: Mapping[str, Any]) -> int | None:
    dollars = nano_of(said.get("cost"))
    return nano_of(said.get("cost_cents"), per_dollar=100) if dollars is None else dollars


def _variant(said: Mapping[str, Any]) -> str:
    word = text_of(said.get("variant")).lower()
    if word in ("", "default", "auto"):
        return STANDARD
    if word not in VARIANTS:
        raise Unread("its variant is unknown", word)
    return word
