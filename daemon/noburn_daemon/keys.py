"""Real keys that supervisors lend for their runs' virtual ones.

Layer: daemon, pure.  Below: nothing.  Above: server, peer.
Owns: how long a key is lent: as long as the connection that lends it lives.  In memory only: no
event, no log line and no reply but a grant (or `key`) ever carries one.
"""

from __future__ import annotations

from collections.abc import Mapping

#: How long after the daemon's start an unknown key is waited for, in seconds: a supervisor that
#: lent it to the daemon before needs a moment to lend it again.
RELEND_S = 10.0
#: How long one request waits then, in seconds.
WAIT_S = 5.0

UNKNOWN = "this virtual key stands for no real one any more"
UNKNOWN_WHY = (
    "the `noburn run` or `noburn gateway` that lent it has ended, or the key was taken away"
)
UNKNOWN_NEXT = "start the program again below `noburn run`"


class Keys:
    """Virtual keys, what they stand for, and who lends them."""

    def __init__(self) -> None:
        self._lent: dict[str, tuple[object, str]] = {}

    def lend(self, lender: object, keys: Mapping[str, str]) -> None:
        for virtual, real in keys.items():
            self._lent[virtual] = (lender, real)

    def take_back(self, lender: object) -> None:
        """The lender has gone, and with it all that it lent."""
        if any(by is lender for by, _ in self._lent.values()):
            self._lent = {v: pair for v, pair in self._lent.items() if pair[0] is not lender}

    def real(self, virtual: str) -> str | None:
        """The key that a virtual one stands for, or None."""
        pair = self._lent.get(virtual)
        return None if pair is None else pair[1]
