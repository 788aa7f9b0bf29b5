"""The book that was taken: written as a whole, with the one before it kept for `--undo`.

Layer: I/O.  Below: prices, core.pricebook, price_sources.writing, whole_files.
Above: commands.prices (`update`).
Owns: `book.toml` and `book-before.toml` in the user's configuration folder.
Not here: what is taken (core.book_update).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from noburn_cli import prices, resources
from noburn_cli.core.models import Model
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import NoburnError, PolicyChanged, PriceBookInvalid
from noburn_cli.price_sources.writing import render_overlay
from noburn_cli.whole_files import replace_text, text_beside

BEFORE = "book-before.toml"
#: What BEFORE said, while both files change: an update that is cut off in between loses neither.
_OLDER = "book-older.toml"
#: Prices are no secret: the umask decides who reads them.
_MODE = 0o666


def base_texts(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """The shipped book and, where it holds, the one that was taken: what an update goes over."""
    shipped, updated = resources.shipped_prices(), prices.updated_text(environment)
    if updated is None or prices.is_older(updated[1], shipped[1]):
        return [shipped]
    return [shipped, updated]


def overlay_text(
    result: Sequence[Model], prefixes: Mapping[str, str], generated: Mapping[str, Any]
) -> str:
    """The file that makes the shipped book say what `result` says.

    It holds the models that differ from the shipped ones, each complete.
    Raises PriceBookInvalid where the two together would say something else of any model.
    """
    shipped_text = resources.shipped_prices()
    shipped = {model.name: model for model in PriceBook.from_texts([shipped_text]).models()}
    differing = [model for model in result if shipped.get(model.name) != model]
    text = render_overlay(differing, prefixes, generated)
    read = PriceBook.from_texts([shipped_text, (prices.UPDATED_FILE, text)])
    said = {model.name: model for model in read.models()}
    for model in result:
        if said[model.name] != model:
            raise PriceBookInvalid(
                f"the newer book's `{model.name}` cannot be laid over the shipped one",
                why="it takes something away that a later price file cannot take away",
                next_step="upgrade noburn, whose own book may have it",
            )
    return text


def check_whole(environment: Mapping[str, str], text: str | None) -> PriceBook:
    """The book that would hold with this text as the one that was taken; None for none.

    Raises PriceBookInvalid, for instance where the user's own prices clash with it.
    """
    path = prices.updated_file(environment)
    updated = None if text is None else (str(path), text)
    return PriceBook.from_texts(prices.texts_with(environment, updated))


def replace_book(environment: Mapping[str, str], text: str, *, over: str | None) -> Path:
    """Write `book.toml`, and keep what it said before as `book-before.toml`.

    over: what the file said when the plan was made; None where there was none.
    Raises PolicyChanged when it has changed since, NoburnError when it cannot be written.
    """
    path = prices.updated_file(environment)
    before = path.with_name(BEFORE)
    if _text(path) != over:
        raise PolicyChanged(
            f"{path} has changed meanwhile: nothing was written",
            next_step="look at the plan again",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _recover(path, over)
        if over is None:
            before.unlink(missing_ok=True)
        else:
            if before.exists():
                before.replace(before.with_name(_OLDER))
            replace_text(before, over, mode=_MODE)
        replace_text(path, text, mode=_MODE)
        before.with_name(_OLDER).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def undo(environment: Mapping[str, str]) -> tuple[Path, bool]:
    """Change places between the book that was taken and the one before.

    (the file, whether a book that was taken holds now.)  A second time undoes the first.
    Raises NoburnError where nothing was taken, PriceBookInvalid where the earlier one would break
    a rule; then nothing is changed.
    """
    path = prices.updated_file(environment)
    before = path.with_name(BEFORE)
    now = _text(path)
    try:
        _recover(path, now)
    except OSError as error:
        raise _unwritable(before, error) from error
    then = _text(before)
    if now is None and then is None:
        raise NoburnError("there is no update of the price book to undo")
    check_whole(environment, then)
    try:
        if now is not None:
            # The other one first: a crash in between leaves a book that holds.
            beside = text_beside(before, now, mode=_MODE)
        if then is None:
            path.unlink()
        else:
            replace_text(path, then, mode=_MODE)
        if now is None:
            before.unlink()
        else:
            beside.replace(before)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path, then is not None


def _recover(path: Path, now: str | None) -> None:
    """Put back what an update had laid aside that ended before it wrote the book itself."""
    before = path.with_name(BEFORE)
    older = path.with_name(_OLDER)
    if older.exists():
        if _text(before) in (None, now):
            older.replace(before)
        else:
            older.unlink()


def _text(path: Path) -> str | None:
    return prices.read_price_file(path, next_step=f"remove {path}")


def _unwritable(path: Path, error: OSError) -> NoburnError:
    return NoburnError(
        f"{path} cannot be written: {error.strerror or error}",
        why="the prices are as they were",
        next_step="look at the disk and the permissions of the folder",
    )
