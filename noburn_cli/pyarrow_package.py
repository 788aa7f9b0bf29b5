"""pyarrow, the package that reads and writes Parquet, where it is installed.

Layer: below the packages that use it.  Below: errors.  Above: export, importing, reports.
"""

from __future__ import annotations

from typing import Any

from noburn_cli.errors import NoburnError


def pyarrow(*, otherwise: str = "choose another format") -> Any:
    """The package, with `pyarrow.parquet`.

    otherwise: what can be done without it.  Raises NoburnError where it is not there.
    """
    try:
        import pyarrow as package  # a fifth of a second
        import pyarrow.parquet
    except ImportError as error:
        raise NoburnError(
            "Parquet needs the package pyarrow",
            why=str(error),
            next_step=f"install it: pip install 'noburn-cli[parquet]'; or {otherwise}",
        ) from error
    return package
