"""A ledger with calls of known outputs, written by the daemon's own book, minutes apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noburn_daemon import ending, frames, reserving
from tests.daemon.parts import commit, open_book, reserve_frame


@dataclass(frozen=True)
class Taught:
    """One call and how it ended.

    cap: what the request asked for.  usage: of its bill; None for an end without one (`end`).
    """

    usage: Mapping[str, int] | None = None
    cap: int = 1_000
    attrs: Mapping[str, str] = field(default_factory=dict)
    end: str = "settle"
    more: Mapping[str, Any] = field(default_factory=dict)
    reserve: Mapping[str, Any] = field(default_factory=dict)


def teach(path: Path, calls: Iterable[Taught], *, start_ms: int, step_ms: int = 60_000) -> int:
    """Write the calls, each ended before the next is made; the moment after the last.

    A ledger that is there is written on.
    """
    book, ledger = open_book(path, start_ms)
    at_ms = start_ms
    for number, call in enumerate(calls):
        name = f"{at_ms:011x}-{number:020x}"
        output = {"wanted": call.cap, "floor": 1, "choices": 1, "clamp": False}
        frame = reserve_frame(name, attrs=dict(call.attrs), output=output)
        read = frames.decode(json.dumps(frame | dict(call.reserve)).encode())
        answer = reserving.reserve(book, read, owner="b:1:1", caller=None, now_ms=at_ms)
        assert not isinstance(answer, dict), answer
        ended: dict[str, Any] = {"n": 1, "op": call.end, "call": name, **call.more}
        if call.usage is not None:
            ended["usage"] = dict(call.usage)
        end = getattr(ending, call.end, None)
        if end is not None:
            end(book, frames.decode(json.dumps(ended).encode()), at_ms + 1)
        at_ms += step_ms
        if number % 500 == 499:
            commit(book, ledger, snapshot=True)
    commit(book, ledger, snapshot=True)
    ledger.close()
    return at_ms
