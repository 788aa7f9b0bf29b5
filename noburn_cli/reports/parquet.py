"""A report as a Parquet file: money as decimals, counts as whole numbers.

Layer: reports, I/O.  Below: appearing; pyarrow, of the extra `parquet`.  Above: commands.report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from noburn_cli.errors import NoburnError
from noburn_cli.reports.appearing import appearing

#: As in `noburn export`: dollars to the nano.
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
    with appearing(target) as part:
        pyarrow.parquet.write_table(table, str(part))


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
