"""What some environment variables say, worked out again only when one of them has changed.

Layer: enforce, injected (standard library, Python 3.10).  Below: nothing.  Above: context.
Programs set variables late, so they are looked at for each call; but each look through `os.environ`
encodes a name and decodes a value, and a call looks at some forty.  Comparing the raw values costs
a twentieth of that (docs/hooks.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class OfVariables(Generic[_T]):
    """Calls `make` when one of the variables has another value than the last time.

    What it returns is handed to every caller: nobody changes it.  Without a lock: two threads may
    both make it, and whoever reads a value that has just changed makes it again the next time.
    """

    __slots__ = ("_keys", "_last", "_make", "_names")

    def __init__(self, names: Iterable[str], make: Callable[[], _T]) -> None:
        self._names = tuple(names)
        self._keys = tuple(os.fsencode(name) for name in self._names)
        self._make = make
        self._last: tuple[tuple[Any, ...], _T] | None = None

    def __call__(self) -> _T:
        # CPython's environment keeps bytes (3.10 to 3.14); another mapping may stand in its place.
        raw = getattr(os.environ, "_data", None)
        if raw is None:
            values = tuple(map(os.environ.get, self._names))
        else:
            values = tuple(map(raw.get, self._keys))
        last = self._last
        if last is None or last[0] != values:
            last = self._last = (values, self._make())
        return last[1]
