"""A report as a Parquet file: money as decimals, counts as whole numbers.

Layer: reports, I/O.  Below: pyarrow, which the extra `parquet` brings.  Above: commands.report.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from noburn_cli.errors import NoburnError

#: As in `noburn ledger export`: dollars to the nano.
_PRECISION, _SCALE = 38, 9


def write_parquet(
    target: Path, keys: Sequence[str], rows: Sequence[Mapping[str, Any]], numbers: Sequence[str]
) -> None:
    """Write rows; the file appears when it is whole.

    rows: texts by `keys`, and by `numbers` amounts (`…_usd`) and shares as exact decimals in text,
    counts as whole numbers.  Raises NoburnError without pyarrow, and when it cannot be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise NoburnError(
            "Parquet needs the package pyarrow",
            why=str(error),
            next_step="install it: pip install 'noburn-cli[parquet]'",
        ) from error
    names = [*keys, *numbers]
    fields = [(name, _type(pyarrow, name, keys)) for name in names]
    columns = {
        name: pyarrow.array([_value(name, row[name], keys) for row in rows], type=kind)
        for name, kind in fields
    }
    table = pyarrow.table(columns, schema=pyarrow.schema(fields))
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        pyarrow.parquet.write_table(table, str(part))
        part.replace(target)
    except OSError as error:
        raise NoburnError(
            f"{target} cannot be written",
            why=error.strerror or str(error),
            next_step="choose another place with --output",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _is_decimal(name: str) -> bool:
    return name.endswith(("_usd", "share", "_rate"))


def _type(pyarrow: Any, name: str, keys: Sequence[str]) -> Any:
    if name in keys:
        return pyarrow.string()
    return pyarrow.decimal128(_PRECISION, _SCALE) if _is_decimal(name) else pyarrow.int64()


def _value(name: str, value: Any, keys: Sequence[str]) -> Any:
    if value is None or name in keys or not _is_decimal(name):
        return value
    return Decimal(value)
