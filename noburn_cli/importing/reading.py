"""What a source is, and what its reader is asked and answers.

Layer: importing, pure.  Below: core.imported, fields, mapping.  Above: sources, job, detecting.
Owns: the seam between files (job) and formats (sources): records in, calls out, or why not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import timezone, tzinfo
from typing import Any, Protocol

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import Unread
from noburn_cli.importing.mapping import Fields, Mapped

#: Who paid for calls of coding agents, whose logs do not say: a plan, or an API key.
BY_PLAN, BY_API = "plan", "api"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record that is no call to be counted, in one of few words."""

    reason: str


def without_model(*, used: bool, field: str = "model") -> LeftOut:
    """What a record without a model is: no call, when it used nothing either.

    field: in the source's word.  Raises Unread for one that did.
    """
    if used:
        raise Unread(f"it has no {field}")
    return LeftOut("records without a model and tokens")


#: Of a record: calls, what is none, and what cannot be read of one that holds several.
Found = ImportedCall | LeftOut | Unread

#: What one record can be, a day of a big business included: a million dollars, 1e12 tokens of a
#: kind, 1e9 calls.  Some thousands of such records still add up within 64 bits.
NANO_MAX, TOKENS_MAX, CALLS_MAX = 10**15, 10**12, 10**9
#: A call of more than 30 days was none: a clock, or a unit that was another one.
RAN_MS_MAX = 30 * 86_400_000


def plausible(call: ImportedCall) -> ImportedCall:
    """A call that fits in a row, and whose sums do.  Raises Unread."""
    most = max(call.usage.values(), default=0)
    if most > TOKENS_MAX or call.requests > CALLS_MAX:
        raise Unread("it has more tokens or calls than a record can", max(most, call.requests))
    if call.said_nano is not None and call.said_nano > NANO_MAX:
        raise Unread("its cost is more than a record can have", call.said_nano)
    return replace(call, ran_ms=None) if (call.ran_ms or 0) > RAN_MS_MAX else call


@dataclass(frozen=True)
class Asked:
    """What a reader needs to know of one file.

    path: the file's, as text.  zone: of times that name none.  billing: who paid, "" for what the
    source itself says.  state: what the reader said of itself when the file was last read, to go
    on from there; None at a file's beginning.
    lineage: sessions and those that they were forked from, of all files; a reader adds to it.
    """

    path: str = ""
    mapped: Mapped = field(default_factory=Mapped)
    zone: tzinfo = timezone.utc
    billing: str = ""
    state: Mapping[str, Any] | None = None
    lineage: MutableMapping[str, str] = field(default_factory=dict)


def each(read: Callable[[Mapping[str, Any]], Found], parts: Iterable[object]) -> Iterator[Found]:
    """What each part of a record says: one that cannot be read takes no other along."""
    for part in parts:
        try:
            yield read(part) if isinstance(part, Mapping) else Unread("a part of it is no object")
        except Unread as error:
            yield error


class Reader(Protocol):
    """Reads one file's records, in their order."""

    def wants(self, line: bytes) -> bool:
        """Whether a line can matter; a quick look at its bytes."""

    def read(self, record: Mapping[str, Any]) -> Iterable[Found]:
        """The calls of a record.  Raises Unread."""

    def state(self) -> dict[str, Any]:
        """What must be known to go on after this record, as JSON."""


class PlainReader:
    """A source whose every record stands for itself."""

    def __init__(self, read: Callable[[Mapping[str, Any], Asked], Found], asked: Asked) -> None:
        self._read = read
        self._asked = asked

    def wants(self, line: bytes) -> bool:  # noqa: ARG002 -- every record is one of calls
        return True

    def read(self, record: Mapping[str, Any]) -> Iterable[Found]:
        return (self._read(record, self._asked),)

    def state(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Source:
    """One source of calls.

    trust: what its costs are worth (core.imported).  reader: opens one for a file.
    fields: which of its fields have which attribute.  format: for a person, what is read.
    """

    name: str
    title: str
    trust: str
    reader: Callable[[Asked], Reader]
    format: str
    fields: Fields = field(default_factory=dict)
    agent: bool = False


def plain(read: Callable[[Mapping[str, Any], Asked], Found]) -> Callable[[Asked], Reader]:
    """The `reader` of a source whose records stand for themselves."""
    return lambda asked: PlainReader(read, asked)
