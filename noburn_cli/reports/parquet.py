"""A report as a Parquet file: money as decimals, counts as whole numbers.

Layer: reports, I/O.  Below: whole_files, pyarrow_package.  Above: commands.report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from noburn_cli.pyarrow_package import pyarrow
from noburn_cli.whole_files import appearing

#: As in `noburn export`: dollars to the nano.
_PRECISION, _SCALE = 38, 9


def write_parquet(
    target: Path, keys: Sequence[str], rows: Sequence[Mapping[str, Any]], numbers: Sequence[str]
) -> None:
    """Write rows; the file appears when it is whole.

    rows: texts by `keys`, and by `numbers` amounts (`…_usd`) and shares as exact decimals in text,
    counts as whole numbers.  Raises NoburnError without pyarrow, and when it cannot be written.
    """
    arrow = pyarrow()
    names = [*keys, *numbers]
    fields = [(name, _type(arrow, name, keys)) for name in names]
    columns = {
        name: arrow.array([_value(name, row[name], keys) for row in rows], type=kind)
        for name, kind in fields
    }
    table = arrow.table(columns, schema=arrow.schema(fields))
    with appearing(target) as part:
        arrow.parquet.write_table(table, str(part))


def _is_decimal(name: str) -> bool:
    return name.endswith(("_usd", "share", "_rate"))


def _type(arrow: Any, name: str, keys: Sequence[str]) -> Any:
    if name in keys:
        return arrow.string()
    return arrow.decimal128(_PRECISION, _SCALE) if _is_decimal(name) else arrow.int64()


def _value(name: str, value: Any, keys: Sequence[str]) -> Any:
    if value is None or name in keys or not _is_decimal(name):
        return value
    return Decimal(value)
