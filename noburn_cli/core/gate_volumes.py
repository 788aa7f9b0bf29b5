"""What the ledger said of calls, saved in the repository: for a CI that has no ledger.

Layer: core (pure).  Below: core.learning (CacheShares), errors.  Above: gating.volumes.
Owns: the file's format: JSON, a line for each feature and model, so that a diff can be read.
It has numbers and the names of features and models, nothing else of the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from noburn_cli.core.learning import CacheShares
from noburn_cli.errors import UsageError

KIND = "noburn.gate.volumes"
VERSION = 1
_SHARES = ("plain", "read", "write_5m", "write_1h")


@dataclass(frozen=True)
class Volume:
    """Calls of one feature on one model.

    feature: None for those of all features.  model: as the price book calls it.
    output: tokens that an answer came to on average, and cache: how input was billed; None where
    too few calls say it.
    """

    feature: str | None
    model: str
    calls: int
    output: int | None = None
    cache: CacheShares | None = None


@dataclass(frozen=True)
class SavedVolumes:
    """Calls from a day (UTC) on, up to another one, which is not counted."""

    since: str
    until: str
    lines: tuple[Volume, ...]


def format_volumes(volumes: SavedVolumes) -> str:
    """The file's text, lines sorted."""
    ordered = sorted(volumes.lines, key=lambda one: (one.feature or "", one.model))
    lines = [f"  {json.dumps(_line(one), ensure_ascii=False)}" for one in ordered]
    parts = [
        f' "kind": "{KIND}"',
        f' "version": {VERSION}',
        f' "since": "{volumes.since}"',
        f' "until": "{volumes.until}"',
        ' "volumes": [\n' + ",\n".join(lines) + "\n ]" if lines else ' "volumes": []',
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(one: Volume) -> dict[str, Any]:
    line: dict[str, Any] = {"feature": one.feature, "model": one.model, "calls": one.calls}
    if one.output is not None:
        line["output"] = one.output
    if one.cache is not None:
        line["input"] = {name: getattr(one.cache, name) for name in _SHARES}
    return line


def parse_volumes(text: str, *, origin: str) -> SavedVolumes:
    """Read the file.  Raises UsageError naming `origin`."""
    try:
        values = json.loads(text)
        if values["kind"] != KIND or values["version"] != VERSION:
            raise ValueError(f"it is no {KIND} of version {VERSION}")
        days = [date.fromisoformat(values[key]).isoformat() for key in ("since", "until")]
        return SavedVolumes(days[0], days[1], tuple(map(_volume, values["volumes"])))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{origin} cannot be read",
            why=f"{type(error).__name__}: {error}",
            next_step="make it again where there is a ledger: noburn gate --update-volumes",
        ) from error


def _volume(line: Mapping[str, Any]) -> Volume:
    feature, model = line["feature"], line["model"]
    if not isinstance(model, str) or not (feature is None or isinstance(feature, str)):
        raise ValueError(f"{line!r} names no feature and model")
    shares = line.get("input")
    return Volume(
        feature,
        model,
        _count(line["calls"]),
        None if line.get("output") is None else _count(line["output"]),
        None if shares is None else CacheShares(*(_count(shares[name]) for name in _SHARES)),
    )


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value
