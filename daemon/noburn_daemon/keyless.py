"""Requests with a key that nobody lends (yet): refused, or kept for a moment.

Layer: daemon, event loop.  Below: keys, frames, replies, peer.  Above: server.
Owns: how long one waits for the lender, who may be about to lend again after a restart.
Not here: which key stands for which (keys).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from noburn_cli import protocol
from noburn_daemon import frames
from noburn_daemon.keys import RELEND_S, UNKNOWN, UNKNOWN_NEXT, UNKNOWN_WHY, WAIT_S, Keys
from noburn_daemon.peer import PeerConnection
from noburn_daemon.replies import Reply, refusal


class Keyless:
    """Who waits for a key.

    answer: lets a reply leave.  again: does a request anew.
    """

    def __init__(
        self, keys: Keys, loop: asyncio.AbstractEventLoop, *,
        answer: Callable[[PeerConnection, Reply], object],
        again: Callable[[PeerConnection, Any], object],
    ) -> None:  # fmt: skip
        self._keys = keys
        self._loop = loop
        self._answer = answer
        self._again = again
        self._until = loop.time() + RELEND_S
        self._waiting: list[tuple[PeerConnection, Any]] = []

    def lend(self, peer: PeerConnection, frame: frames.KeysLend, _now_ms: int) -> Reply:
        """Take keys, and look again at who waits for one."""
        self._keys.lend(peer, frame.keys)
        waiting, self._waiting = self._waiting, []
        for asker, asked in waiting:
            self._again(asker, asked)
        return {"n": frame.n, "ok": True}

    def key(self, peer: PeerConnection, frame: frames.KeyFor, _now_ms: int) -> Reply | None:
        """The real key, for a request that costs nothing."""
        real = self._keys.real(frame.key)
        if real is None:
            return self.put_off(peer, frame)
        return {"n": frame.n, "ok": True, "key": real}

    def put_off(self, peer: PeerConnection, frame: Any) -> Reply | None:
        """Refuse, or wait a moment while those who lend may not be back yet."""
        if self._loop.time() >= self._until:
            return _key_unknown(frame.n)
        asked = (peer, frame)
        self._waiting.append(asked)
        self._loop.call_later(WAIT_S, self._waited, asked)
        return None

    def forget(self, peer: PeerConnection) -> None:
        """A connection has ended."""
        self._waiting = [asked for asked in self._waiting if asked[0] is not peer]

    def drain(self) -> list[tuple[PeerConnection, int]]:
        """Wait for no key any more; whose requests, by their numbers, are left."""
        left = [(peer, frame.n) for peer, frame in self._waiting]
        self._waiting.clear()
        self._until = 0.0
        return left

    def _waited(self, asked: tuple[PeerConnection, Any]) -> None:
        if asked in self._waiting:
            self._waiting.remove(asked)
            self._answer(asked[0], _key_unknown(asked[1].n))


def _key_unknown(n: int) -> Reply:
    return refusal(n, protocol.KEY_UNKNOWN, UNKNOWN, why=UNKNOWN_WHY, next_step=UNKNOWN_NEXT)
