"""The price book that holds here: the shipped file, and the user's own over it.

Layer: I/O, shared by the CLI and the daemon.  Below: core.pricebook, resources, errors.

The user's file is the one that `NOBURN_PRICES` names, which must exist; else, where it exists,
`$NOBURN_HOME/config/prices.toml` when NOBURN_HOME is set, or `noburn/prices.toml` in the user's
configuration directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import PriceBookInvalid

ENV_PRICES = "NOBURN_PRICES"
ENV_HOME = "NOBURN_HOME"
USER_FILE = "prices.toml"
#: A megabyte is some three thousand models; more is not a price file.
_FILE_BYTES_MAX = 8 * 1024 * 1024


def user_file(environment: Mapping[str, str]) -> Path:
    """Where the user's own price file is looked for; it need not exist."""
    named = environment.get(ENV_PRICES, "")
    if named:
        return Path(named).expanduser()
    home = environment.get(ENV_HOME, "")
    if home:
        return Path(home).expanduser() / "config" / USER_FILE
    from platformdirs import user_config_path  # only here: most starts do not need it

    return user_config_path("noburn", appauthor=False) / USER_FILE


def price_texts(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """(origin, text) of every price file that holds, the shipped one first.

    Raises PriceBookInvalid when the user's file can't be read, or is named and missing.
    """
    texts = [resources.shipped_prices()]
    path = user_file(environment)
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        if environment.get(ENV_PRICES):
            raise _unreadable(path, "it does not exist") from error
        return texts
    except OSError as error:
        raise _unreadable(path, str(error.strerror or error)) from error
    if len(content) > _FILE_BYTES_MAX:
        raise _unreadable(path, f"it is larger than {_FILE_BYTES_MAX} bytes")
    try:
        texts.append((str(path), content.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"it is not UTF-8: {error}") from error
    return texts


def load_book(environment: Mapping[str, str]) -> PriceBook:
    """The price book that holds here.  Raises PriceBookInvalid."""
    return PriceBook.from_texts(price_texts(environment))


def _unreadable(path: Path, reason: str) -> PriceBookInvalid:
    return PriceBookInvalid(
        f"price file {path} cannot be read: {reason}",
        why="prices that you set and that are not applied would make every amount wrong",
        next_step=f"mend it, or unset {ENV_PRICES} to use the shipped prices alone",
    )
