"""Versioned JSON on standard output: what `--json` prints.

Layer: render.  Below: core.money.
Every document is `{"kind": …, "version": …, "data": …}`.  A version grows when a field changes its
meaning or goes; a new field leaves it alone.  Money is an exact decimal string in dollars.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any, TextIO

from noburn_cli.core.money import Nano


def _encode(value: object) -> Any:
    """Values of ours as JSON: amounts and decimals as exact strings, dataclasses as objects."""
    if isinstance(value, Nano):
        return value.exact()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def format_json(kind: str, version: int, data: object) -> str:
    """One document as text, keys in the order given.

    kind: what it is, such as `margin`; a consumer checks it together with `version`.
    Raises TypeError for a value without a form, ValueError for a number that is not finite.
    """
    document = {"kind": f"noburn.{kind}", "version": version, "data": data}
    return json.dumps(document, indent=2, default=_encode, allow_nan=False, ensure_ascii=False)


def print_json(kind: str, version: int, data: object, *, file: TextIO | None = None) -> None:
    """Print one document on `file`, standard output unless told."""
    (sys.stdout if file is None else file).write(format_json(kind, version, data) + "\n")
