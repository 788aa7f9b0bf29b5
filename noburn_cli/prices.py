"""The price book that holds here: the shipped file, and what lies over it.

Layer: I/O, shared by the CLI and the daemon.  Below: core, resources, config_files, trust, errors.

Over the shipped file lie, each over the one before:
- a newer book that `noburn prices update` took, `book.toml` in the user's configuration folder
  (config_files); it is passed over where the shipped one was made on a later day;
- the user's own file: the one that `NOBURN_PRICES` names, which must exist; else `prices.toml` in
  that folder, where it exists;
- endpoints with prices of their own: those of the user's configuration and of every project
  configuration that is trusted, wherever one stands, since the daemon of a home has one book for
  all its runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from noburn_cli import paths, resources
from noburn_cli.config_files import config_folder, read_file, user_path
from noburn_cli.core.endpoints import Endpoint, price_text
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.pricebook_file import generated_of
from noburn_cli.errors import NoburnError, PriceBookInvalid
from noburn_cli.trust import Trusted, read_trusted

ENV_PRICES = "NOBURN_PRICES"
USER_FILE = "prices.toml"
UPDATED_FILE = "book.toml"
#: A megabyte is some three thousand models; more is not a price file.
FILE_BYTES_MAX = 8 * 1024 * 1024


def user_file(environment: Mapping[str, str]) -> Path:
    """Where the user's own price file is looked for; it need not exist."""
    named = environment.get(ENV_PRICES, "")
    if named:
        return Path(named).expanduser()
    return config_folder(environment) / USER_FILE


def updated_file(environment: Mapping[str, str]) -> Path:
    """Where `noburn prices update` keeps what it took; it need not exist."""
    return config_folder(environment) / UPDATED_FILE


def updated_text(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """(origin, text) of the book that was taken last.  Raises PriceBookInvalid."""
    path = updated_file(environment)
    text = read_price_file(path, next_step=f"`noburn prices update --undo`, or remove {path}")
    return None if text is None else (str(path), text)


def is_older(updated: str, shipped: str) -> bool:
    """Whether a book that was taken was made on an earlier day than the one that ships."""
    ours, theirs = made_on(updated), made_on(shipped)
    return ours is not None and theirs is not None and ours < theirs


def made_on(text: str) -> date | None:
    """The day on which a book was compared with its sources; None where it does not say."""
    day = generated_of(text).get("checked_on")
    return day if type(day) is date else None


def passed_over(environment: Mapping[str, str]) -> str | None:
    """Why the book that was taken prices nothing any more; None where it does, or there is none.

    Raises PriceBookInvalid.
    """
    updated = updated_text(environment)
    shipped = resources.shipped_prices()[1]
    if updated is None or not is_older(updated[1], shipped):
        return None
    return (
        f"{updated[0]} is of {made_on(updated[1])} and is passed over: "
        f"noburn's own book is newer, of {made_on(shipped)}"
    )


def price_texts(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """(origin, text) of every price file that holds, the shipped one first.

    Raises PriceBookInvalid when the user's file can't be read, or is named and missing; UsageError
    for a configuration that cannot be read.
    """
    return texts_with(environment, updated_text(environment))


def own_texts(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """The same without what trusted projects say: the shipped file and the user's own.

    Raises PriceBookInvalid, UsageError.
    """
    return _texts(environment, [], updated_text(environment))


def texts_with(
    environment: Mapping[str, str], updated: tuple[str, str] | None
) -> list[tuple[str, str]]:
    """The same with another (origin, text) as the book that was taken, or none.

    Raises PriceBookInvalid, UsageError.
    """
    return _texts(environment, read_trusted(paths.home_of(environment)), updated)


def _texts(
    environment: Mapping[str, str], trusted: list[Trusted], updated: tuple[str, str] | None
) -> list[tuple[str, str]]:
    shipped = resources.shipped_prices()
    return [
        shipped,
        *([] if updated is None or is_older(updated[1], shipped[1]) else [updated]),
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
    next_step = f"mend it, or unset {ENV_PRICES} to use the shipped prices alone"
    text = read_price_file(path, next_step=next_step)
    if text is None:
        if environment.get(ENV_PRICES):
            raise _unreadable(path, "it does not exist", next_step)
        return []
    return [(str(path), text)]


def read_price_file(path: Path, *, next_step: str) -> str | None:
    """The text of a price file, None where there is none.

    next_step: what a person can do about one that cannot be read.
    Raises PriceBookInvalid for one that cannot be read, is too large or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, str(error.strerror or error), next_step) from error
    if len(content) > FILE_BYTES_MAX:
        raise _unreadable(path, f"it is larger than {FILE_BYTES_MAX} bytes", next_step)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"it is not UTF-8: {error}", next_step) from error


def load_book(environment: Mapping[str, str]) -> PriceBook:
    """The price book that holds here.  Raises PriceBookInvalid, UsageError."""
    return PriceBook.from_texts(price_texts(environment))


def book_with(environment: Mapping[str, str], trusted: list[Trusted]) -> PriceBook:
    """The book that would hold if these project configurations were the trusted ones.

    Raises PriceBookInvalid, UsageError.
    """
    return PriceBook.from_texts(_texts(environment, trusted, updated_text(environment)))


def watched_files(environment: Mapping[str, str]) -> list[Path]:
    """The files that a book is made of, besides the shipped one; none of them need exist."""
    return [
        updated_file(environment),
        user_file(environment),
        user_path(environment),
        paths.trust_path(paths.home_of(environment)),
    ]


def _unreadable(path: Path, reason: str, next_step: str) -> PriceBookInvalid:
    return PriceBookInvalid(
        f"price file {path} cannot be read: {reason}",
        why="prices that you set and that are not applied would make every amount wrong",
        next_step=next_step,
    )
