"""A JSON object in bytes, read strictly and edited without touching what does not change.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: errors.
Owns: the members of a body with their places, so that an edit is a splice.
Strict where two readers could disagree: a key twice (Python takes the last, a provider may take the
first), NaN and Infinity, other encodings than UTF-8.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from noburn_cli.errors import InputRefused

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Anthropic takes 32 MB, OpenAI more only for images (checked 2026-11-23).
BODY_BYTES_MAX = 64 * 1024 * 1024
_SPACE = " \t\n\r"


@dataclass(frozen=True)
class Member:
    """One member of the top-level object: the places of its key and value in the text."""

    key: str
    value: Any
    key_start: int
    value_start: int
    value_end: int


class RawJson(str):
    """JSON text to be written into a body as it is."""

    __slots__ = ()


class Body:
    """The top-level object of one request or answer."""

    def __init__(self, body: bytes, *, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        """Raises InputRefused unless `body` is one JSON object in UTF-8, without duplicate keys."""
        if len(body) > body_bytes_max:
            raise refused(f"the body is longer than {body_bytes_max} bytes")
        try:
            self._text = body.decode("utf-8")
            self.members = _members(self._text)
        except (ValueError, RecursionError) as error:
            raise refused(f"the body is not a JSON object: {error}") from error
        self.values: dict[str, Any] = {member.key: member.value for member in self.members}

    def get(self, key: str) -> Any:
        """The member's value, or None: an explicit null means the same as no member."""
        return self.values.get(key)

    def nested(self, key: str) -> Body:
        """The object that a member is, to be edited by itself; empty where there is none.

        Raises InputRefused when the member is something else.
        """
        for member in self.members:
            if member.key == key and member.value is not None:
                return Body(self._text[member.value_start : member.value_end].encode("utf-8"))
        return Body(b"{}")

    def raw(self, key: str) -> RawJson | None:
        """The member's value as it is written, or None."""
        for member in self.members:
            if member.key == key:
                return RawJson(self._text[member.value_start : member.value_end])
        return None

    def with_items(self, key: str, change: Callable[[str], str]) -> bytes:
        """The body with each item of a list changed, as text; what is between them stays.

        Raises InputRefused for what is no list.
        """
        text = self.raw(key) or ""
        if not text.startswith("["):
            raise refused(f"`{key}` is not a list")
        pieces: list[str] = []
        end, place = 0, _skip(text, 1)
        while text[place] != "]":
            pieces.append(text[end:place])
            _, end = _DECODER.raw_decode(text, place)
            pieces.append(change(text[place:end]))
            place = _skip(text, end)
            if text[place] == ",":
                place = _skip(text, place + 1)
        pieces.append(text[end:])
        return self.with_values({key: RawJson("".join(pieces))})

    def with_values(self, changes: Mapping[str, object]) -> bytes:
        """The body with some members' values replaced, or added at the end; other bytes stay."""
        pieces: list[str] = []
        place = 0
        for member in self.members:
            if member.key in changes:
                pieces += (self._text[place : member.value_start], _ascii(changes[member.key]))
                place = member.value_end
        added = [key for key in changes if key not in self.values]
        if added:
            end = self.members[-1].value_end if self.members else self._text.index("{") + 1
            pieces.append(self._text[place:end])
            place = end
            for number, key in enumerate(added):
                comma = "," if self.members or number else ""
                pieces.append(f"{comma}{_ascii(key)}:{_ascii(changes[key])}")
        pieces.append(self._text[place:])
        return "".join(pieces).encode("utf-8")

    def only(self, keys: Sequence[str]) -> bytes:
        """A new object of the members whose keys are listed, values unchanged."""
        kept = (
            self._text[member.key_start : member.value_end]
            for member in self.members
            if member.key in keys
        )
        return ("{" + ",".join(kept) + "}").encode("utf-8")


def refused(message: str, *, next_step: str = "") -> InputRefused:
    """The one error that garbage raises."""
    return InputRefused(
        message, why="a call that cannot be read cannot be bounded", next_step=next_step
    )


def deep_refused(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turn the recursion error of a body nested too deeply into InputRefused."""

    @functools.wraps(method)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return method(*args, **kwargs)
        except RecursionError as error:
            raise refused("the body is nested too deeply") from error

    return wrapped


def _ascii(value: object) -> str:
    if isinstance(value, RawJson):
        return value
    return json.dumps(value, separators=(",", ":"))


def compact(value: object) -> str:
    """JSON without spaces, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key!r} occurs twice")
            seen.add(key)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _SPACE:
        place += 1
    return place


def _expect(text: str, place: int, wanted: str) -> str:
    found = text[place : place + 1]
    if not found or found not in wanted:
        raise ValueError(f"expected one of {wanted!r} at character {place}")
    return found


def _members(text: str) -> tuple[Member, ...]:
    """The members of the object that `text` is; the values are read by the json module."""
    place = _skip(text, 0)
    _expect(text, place, "{")
    place = _skip(text, place + 1)
    members: list[Member] = []
    if _expect(text, place, '"}') == "}":
        _end(text, place + 1)
        return ()
    while True:
        _expect(text, place, '"')
        key, key_end = _DECODER.raw_decode(text, place)
        colon = _skip(text, key_end)
        _expect(text, colon, ":")
        value_start = _skip(text, colon + 1)
        value, value_end = _DECODER.raw_decode(text, value_start)
        members.append(Member(key, value, place, value_start, value_end))
        place = _skip(text, value_end)
        if _expect(text, place, ",}") == "}":
            _end(text, place + 1)
            break
        place = _skip(text, place + 1)
    _unique([(member.key, member.value) for member in members])
    return tuple(members)


def _end(text: str, place: int) -> None:
    if _skip(text, place) != len(text):
        raise ValueError(f"something follows the object at character {place}")
