"""The price book that holds here: the shipped file, the user's own over it, and the endpoints'.

Layer: I/O, shared by the CLI and the daemon.  Below: core, resources, config_files, trust, errors.

The user's file is the one that `NOBURN_PRICES` names, which must exist; else, where it exists,
`prices.toml` in the user's configuration folder (config_files).  Endpoints with prices of their own
are those of the user's configuration and of every project configuration that is trusted, wherever
one stands: the daemon of a home has one book for all its runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from noburn_cli import paths, resources
from noburn_cli.config_files import config_folder, read_file, user_path
from noburn_cli.core.endpoints import Endpoint, price_text
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import NoburnError, PriceBookInvalid
from noburn_cli.trust import Trusted, read_trusted

ENV_PRICES = "NOBURN_PRICES"
USER_FILE = "prices.toml"
#: A megabyte is some three thousand models; more is not a price file.
_FILE_BYTES_MAX = 8 * 1024 * 1024


def user_file(environment: Mapping[str, str]) -> Path:
    """Where the user's own price file is looked for; it need not exist."""
    named = environment.get(ENV_PRICES, "")
    if named:
        return Path(named).expanduser()
    return config_folder(environment) / USER_FILE


def price_texts(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """(origin, text) of every price file that holds, the shipped one first.

    Raises PriceBookInvalid when the user's file can't be read, or is named and missing; UsageError
    for a configuration that cannot be read.
    """
    return _texts(environment, read_trusted(paths.home_of(environment)))


def _texts(environment: Mapping[str, str], trusted: list[Trusted]) -> list[tuple[str, str]]:
    return [
        resources.shipped_prices(),
        *_user_text(environment),
        *_endpoint_texts(environment, trusted),
    ]


def _endpoint_texts(
    environment: Mapping[str, str], trusted: list[Trusted]
) -> list[tuple[str, str]]:
    """(origin, text) of the endpoints that have prices of their own.

    Raises UsageError for a configuration that breaks a rule, PriceBookInvalid for two endpoints of
    one name at different prices.
    """
    own = read_file(user_path(environment))
    files = [] if own is None else [(str(own.path), own.values)]
    files += [(record.path, record.values()) for record in trusted]
    found: dict[str, tuple[str, Endpoint, str]] = {}
    for path, values in files:
        for endpoint in values.values():
            text = price_text(endpoint) if isinstance(endpoint, Endpoint) else None
            if text is None:
                continue
            before = found.setdefault(endpoint.name, (path, endpoint, text))
            if not _same_prices(before[1], endpoint):
                raise _clash(endpoint.name, before[0], path)
    return [(f"endpoint `{name}` of {path}", text) for name, (path, _, text) in found.items()]


def _same_prices(one: Endpoint, other: Endpoint) -> bool:
    """Whether two endpoints of one name cost the same; where it is written does not matter."""

    def facts(endpoint: Endpoint) -> object:
        return (endpoint.free, endpoint.rows, endpoint.since, endpoint.context_window)

    return facts(one) == facts(other) and one.tokenizer == other.tokenizer


def _clash(name: str, first: str, second: str) -> NoburnError:
    return PriceBookInvalid(
        f"the endpoint `{name}` has other prices in {second} than in {first}",
        why="one book prices the calls of every project, by the endpoint's name",
        next_step="give one of the two another name",
    )


def _user_text(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    path = user_file(environment)
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        if environment.get(ENV_PRICES):
            raise _unreadable(path, "it does not exist") from error
        return []
    except OSError as error:
        raise _unreadable(path, str(error.strerror or error)) from error
    if len(content) > _FILE_BYTES_MAX:
        raise _unreadable(path, f"it is larger than {_FILE_BYTES_MAX} bytes")
    try:
        return [(str(path), content.decode("utf-8-sig"))]
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"it is not UTF-8: {error}") from error


def load_book(environment: Mapping[str, str]) -> PriceBook:
    """The price book that holds here.  Raises PriceBookInvalid, UsageError."""
    return PriceBook.from_texts(price_texts(environment))


def book_with(environment: Mapping[str, str], trusted: list[Trusted]) -> PriceBook:
    """The book that would hold if these project configurations were the trusted ones.

    Raises PriceBookInvalid, UsageError.
    """
    return PriceBook.from_texts(_texts(environment, trusted))


def watched_files(environment: Mapping[str, str]) -> list[Path]:
    """The files that a book is made of, besides the shipped one; none of them need exist."""
    return [
        user_file(environment),
        user_path(environment),
        paths.trust_path(paths.home_of(environment)),
    ]


def _unreadable(path: Path, reason: str) -> PriceBookInvalid:
    return PriceBookInvalid(
        f"price file {path} cannot be read: {reason}",
        why="prices that you set and that are not applied would make every amount wrong",
        next_step=f"mend it, or unset {ENV_PRICES} to use the shipped prices alone",
    )
