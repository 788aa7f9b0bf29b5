"""What a hooked stack sends, so that its connections are no others', whether they needed a guard or
not.

Layer: enforce, injected (standard library, Python 3.10).  Above: the hooks, layers, connections.
Apart from layers, which needs the guard: most requests of most programs are no calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_seen: ContextVar[bool] = ContextVar("noburn_seen", default=False)


@contextlib.contextmanager
def seeing() -> Iterator[None]:
    """What connects inside was seen by a hook, whether it needed a guard or not."""
    token = _seen.set(True)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            _seen.reset(token)


def is_seen() -> bool:
    return _seen.get()
