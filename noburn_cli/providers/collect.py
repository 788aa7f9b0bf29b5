"""Gathers what a request's input will be billed for, and what keeps it from being bounded.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.jsonbody.
Rule: nothing that a provider could show to the model is left out.  Text goes to `texts`; whatever a
codec does not know goes to `schema` as its JSON, which is never shorter than what it says.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any, TypedDict

from noburn_cli.core.media import Media
from noburn_cli.providers.ceilings import TOLD_BY_USAGE, UNKNOWN
from noburn_cli.providers.jsonbody import compact, refused

_MODEL_CHARS_MAX = 512
#: Half of a surrogate pair, which JSON can spell and UTF-8 cannot.  U+FFFD is as long (3 bytes).
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Members(TypedDict):
    """Members of a `Call` that follow from what was found in its request."""

    texts: tuple[str, ...]
    schema_text: str
    tools: tuple[Mapping[str, Any], ...]
    rest_schema: str
    tool_forced: bool
    overhead_tokens: int
    media: tuple[Media, ...]
    window: str
    unseen: bool
    unbounded: str
    unbounded_kinds: tuple[str, ...]
    usage_tells_all: bool


class Collector:
    """What was found in a request so far."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._schemas: list[str] = []
        self._tools: list[Mapping[str, Any]] = []
        self._rest: list[str] = []
        #: Whether the model has to use a tool.
        self.tool_forced = False
        self.overhead_tokens = 0
        self._media: list[Media] = []
        #: Whether the window bounds something else than the media that were found.
        self._unseen = False
        self._frame_least = 0
        self._frame_most = 0
        self._frame_known = True
        self._window: dict[str, None] = {}
        self._unbounded: dict[str, None] = {}
        self._ceilings: dict[str, None] = {}
        self._tells_all = True
        self.windows = 0
        self.extra: dict[str, int] = {}
        #: Whether audio goes in, and whether cache writes may be for the long lifetime.
        self.audio = False
        self.long_cache = False

    def text(self, value: object) -> None:
        """A piece of text, or a value that stands where text should: then its JSON."""
        if value is None:
            return
        if isinstance(value, str):
            if value:
                self._texts.append(_LONE_SURROGATE.sub("\ufffd", value))
        else:
            self.schema(value)

    def schema(self, value: object) -> None:
        """Something that the provider renders in its own way; null is nothing."""
        if value is not None:
            text = _LONE_SURROGATE.sub("\ufffd", compact(value))
            self._schemas.append(text)
            self._rest.append(text)

    def tool(self, definition: Mapping[str, Any]) -> None:
        """The definition of a tool, which the provider renders, too."""
        self._schemas.append(_LONE_SURROGATE.sub("\ufffd", compact(definition)))
        self._tools.append(definition)

    def rest(self, item: Mapping[str, Any], known: Container[str]) -> None:
        """The members of an object that its codec does not know, keys included."""
        unknown = {key: value for key, value in item.items() if key not in known}
        if unknown:
            self.schema(unknown)

    def add_overhead(self, tokens: int) -> None:
        self.overhead_tokens += tokens

    def add_frame(self, least: int, most: int | None = None) -> None:
        """Tokens that the provider is documented to add; `most` is `least` where it is exact."""
        self._frame_least += least
        self._frame_most += least if most is None else most

    def frame_unknown(self) -> None:
        """The request holds something for which nothing is published."""
        self._frame_known = False

    @property
    def frame_tokens(self) -> tuple[int, int] | None:
        """For `Call.frame_tokens`."""
        return (self._frame_least, self._frame_most) if self._frame_known else None

    def window(self, reason: str) -> None:
        """Only the context window bounds the input, because of `reason`."""
        self._window[reason] = None
        self._unseen = True

    def image(self, media: Media) -> None:
        """An image: how many tokens it takes is said when the model that is billed is known."""
        self._media.append(media)

    def media(self, media: Media, *, window: str) -> None:
        """A document, a recording or an image that only the window bounds, because of `window`."""
        self._media.append(media)
        self._window[window] = None

    def look_at_media(self, detail: str) -> None:
        """How closely to look at media that do not say it themselves."""
        self._media = [one if one.detail else replace(one, detail=detail) for one in self._media]

    def unbounded(self, reason: str, ceiling: str = UNKNOWN, *, told: bool = True) -> None:
        """Nothing bounds the cost, because of `reason`.

        ceiling: the name under which a policy may (providers.ceilings).
        told: false where this API's usage does not tell what others do.
        """
        self._unbounded[reason] = None
        self._ceilings[ceiling] = None
        self._tells_all = self._tells_all and told and ceiling in TOLD_BY_USAGE

    def loop(self, rounds: int) -> None:
        """The provider may ask the model again so often, each time with up to a whole window."""
        self.windows += rounds

    def fee(self, kind: str, units: int) -> None:
        """The call may be billed so many more units of a further kind."""
        self.extra[kind] = self.extra.get(kind, 0) + units

    @property
    def has_media(self) -> bool:
        """Whether there is more than text, or something that only the window bounds."""
        return bool(self._media or self._window or self.audio)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self._texts)

    @property
    def schema_text(self) -> str:
        return "\n".join(self._schemas)

    @property
    def why_window(self) -> str:
        return "; ".join(self._window)

    @property
    def why_unbounded(self) -> str:
        return "; ".join(self._unbounded)

    @property
    def unbounded_kinds(self) -> tuple[str, ...]:
        return tuple(self._ceilings)

    @property
    def usage_tells_all(self) -> bool:
        return self._tells_all

    def members(self) -> Members:
        """What a codec whose input a window may bound hands on to its `Call`, whole."""
        return {
            "texts": self.texts,
            "schema_text": self.schema_text,
            "tools": tuple(self._tools),
            "rest_schema": "\n".join(self._rest),
            "tool_forced": self.tool_forced,
            "overhead_tokens": self.overhead_tokens,
            "media": tuple(self._media),
            "unseen": self._unseen,
            "window": self.why_window,
            "unbounded": self.why_unbounded,
            "unbounded_kinds": self.unbounded_kinds,
            "usage_tells_all": self.usage_tells_all,
        }


def names(words: str) -> frozenset[str]:
    """A set of names from words with spaces between them."""
    return frozenset(words.split())


def object_list(value: object, *, what: str) -> list[dict[str, Any]]:
    """`value` as a list of JSON objects; null is an empty one.  Raises InputRefused."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused(f"`{what}` is not a list")
    for item in value:
        if not isinstance(item, dict):
            raise refused(f"`{what}` holds something that is not an object")
    return value


def object_or_none(value: object, *, what: str) -> dict[str, Any] | None:
    """`value` as a JSON object.  Raises InputRefused."""
    if value is None or isinstance(value, dict):
        return value
    raise refused(f"`{what}` is not an object")


def model_name(value: object) -> str:
    """The model that the request names.  Raises InputRefused without one."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise refused("the request names no model")
    if len(value) > _MODEL_CHARS_MAX:
        raise refused(f"the model's name is longer than {_MODEL_CHARS_MAX} characters")
    return value


def count_or_none(value: object, *, what: str, least: int) -> int | None:
    """A whole number >= least, or None for null.

    Raises InputRefused for 100.0, "100", true and what is below `least`: a provider may read them
    in another way than we do, and then the bound would be wrong.
    """
    if value is None:
        return None
    if type(value) is not int or value < least:  # bool is an int too, hence `type`.
        raise refused(f"`{what}` is not a whole number of at least {least}: {value!r:.60}")
    return value


def flag(value: object, *, what: str) -> bool:
    """A JSON boolean; null is false.  Raises InputRefused for anything else."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise refused(f"`{what}` is neither true nor false: {value!r:.60}")
    return value


def refuse_unknown(found: Collector, values: Mapping[str, Any], known: Container[str]) -> None:
    """Mark the call as unbounded by a parameter that could switch on something with a price."""
    for key, value in values.items():
        if key not in known and value is not None:
            found.unbounded(f"the parameter `{key[:60]}` is not known, so neither is what it costs")


def texts_or_ids(found: Collector, value: object, *, what: str) -> tuple[int, int]:
    """Read text, token ids, or a list of either: how many pieces, and how many tokens as ids.

    The texts go to `found`.  Raises InputRefused for anything else.
    """
    if isinstance(value, str):
        found.text(value)
        return 1, 0
    if not isinstance(value, list) or not value:
        raise refused(f"`{what}` is neither text nor a list")
    if all(isinstance(item, str) for item in value):
        for item in value:
            found.text(item)
        return len(value), 0
    if _are_ids(value):
        return 1, len(value)
    if all(isinstance(item, list) and _are_ids(item) for item in value):
        return len(value), sum(len(item) for item in value)
    raise refused(f"`{what}` mixes texts, token ids or something else")


def _are_ids(value: list[object]) -> bool:
    return all(type(item) is int and item >= 0 for item in value)
