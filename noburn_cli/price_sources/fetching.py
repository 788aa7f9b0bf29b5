"""A newer book from a file or an address: its bytes, checked before anything reads them.

Layer: I/O (one file or one request).  Below: prices, core.pricebook_file, errors.
Above: commands.prices (`update`).
Not here: what of a book is taken (core.book_update), where it is kept (price_sources.keeping).

An address needs the SHA-256 of what is expected there: whoever can change what it serves must not
be able to change what calls are charged.  Only https, or http to this machine itself; a redirect
must keep to that.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from noburn_cli.core.models import Model
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.pricebook_file import Book
from noburn_cli.errors import NoburnError, PriceBookInvalid, UsageError
from noburn_cli.prices import FILE_BYTES_MAX, made_on

if TYPE_CHECKING:
    from http.client import HTTPMessage
    from urllib.request import Request

TIMEOUT_S = 30
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class FetchedBook:
    """A whole book from elsewhere: its models, the day it is of, and the digest of its bytes."""

    models: tuple[Model, ...]
    prefixes: dict[str, str]
    made_on: date
    sha256: str


def is_address(source: str) -> bool:
    """Whether a source is an address and not a file."""
    return "://" in source


def fetch_book(source: str, sha256: str | None) -> FetchedBook:
    """Read and check a book.

    source: a file or an address.  sha256: of its bytes, in hex; an address needs one.
    Raises UsageError for an address or a checksum that cannot be meant, NoburnError for bytes that
    cannot be had or are others, PriceBookInvalid for a book that breaks a rule.
    """
    wanted = None if sha256 is None else _checksum(sha256)
    if is_address(source):
        _check_address(source)
        if wanted is None:
            raise UsageError(
                "a book from an address needs its checksum",
                why="whoever can change what the address serves could change what calls cost",
                next_step="add --sha256 with the digest that its publisher gives",
            )
        content = _download(source)
    else:
        content = _read(Path(source))
    found = hashlib.sha256(content).hexdigest()
    if wanted is not None and found != wanted:
        raise NoburnError(
            f"{source} is not what the checksum says: nothing was changed",
            why=f"its SHA-256 is {found}, not {wanted}",
            next_step="compare both with what its publisher gives",
        )
    return _book(source, content, found)


def _checksum(text: str) -> str:
    plain = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(plain):
        raise UsageError(f"--sha256 is no SHA-256 in hex: {text!r}")
    return plain


def _check_address(address: str) -> None:
    if not _is_safe(address):
        raise UsageError(
            f"a book is not fetched from {address}",
            why="only https, or http to this machine, and no password in the address",
            next_step="fetch it yourself, and name the file",
        )


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    return safe and bool(parts.hostname) and not (parts.username or parts.password)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _limited(file, str(path))
    except OSError as error:
        raise NoburnError(f"{path} cannot be read: {error.strerror or error}") from error


def _download(address: str) -> bytes:
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

    class SafeRedirects(HTTPRedirectHandler):
        """Follows a redirect only to where a book may be fetched from."""

        def redirect_request(
            self,
            req: Request,
            fp: IO[bytes],
            code: int,
            msg: str,
            headers: HTTPMessage,
            newurl: str,
        ) -> Request | None:
            if not _is_safe(newurl):
                raise NoburnError(f"{address} leads to {newurl}, from where no book is fetched")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    # A proxy cannot reach what `localhost` means here.
    local = urlsplit(address).hostname in _LOOPBACK
    opener = build_opener(SafeRedirects, *([ProxyHandler({})] if local else []))
    try:
        with opener.open(address, timeout=TIMEOUT_S) as answer:
            return _limited(answer, address)
    except HTTPError as error:
        with error:
            raise NoburnError(f"{address} answered {error.code} {error.reason}") from error
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise NoburnError(f"{address} cannot be fetched: {reason}") from error


def _limited(file: IO[bytes], name: str) -> bytes:
    content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise PriceBookInvalid(f"{name} is no price book: it is larger than {FILE_BYTES_MAX} bytes")
    return content


def _book(source: str, content: bytes, sha256: str) -> FetchedBook:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PriceBookInvalid(f"{source} is no price book: it is not UTF-8") from error
    book = PriceBook.from_texts([(source, text)])
    read = Book()
    read.add(source, text)
    if read.free:
        raise PriceBookInvalid(
            f"{source} declares providers free: {', '.join(read.free)}",
            why="what costs nothing is for you to say, and not for a book from elsewhere",
            next_step="take [[free]] out of it; it belongs into your own prices.toml",
        )
    day = made_on(text)
    if day is None:
        raise PriceBookInvalid(
            f"{source} does not say of which day it is",
            why="an older book must not replace a newer one",
            next_step="a book has `checked_on` in its [generated] table",
        )
    return FetchedBook(book.models(), dict(read.prefixes), day, sha256)
