"""Lasting keys in a gateway: known by their digest, lent to the daemon when first used.

Layer: enforce, our own side.  Below: key_file, lending.  Above: server.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.enforce.key_file import LastingKey, digest_of, key_file, read_keys, real_key
from noburn_cli.enforce.lending import Lending
from noburn_cli.errors import NoburnError


@dataclass(frozen=True)
class _Looked:
    """The file as it was read last."""

    at: tuple[int, int]
    keys: dict[str, LastingKey]


class LastingKeys:
    """The keys of `keys.json`, as it is now: a removed key is unknown with the next request."""

    def __init__(self) -> None:
        self._path: Path = key_file()
        self._lending = Lending("", {})
        self._looked = _Looked((0, 0), {})
        #: Virtual keys that were lent, each to be asked for once.
        self._lent: dict[str, asyncio.Lock] = {}
        self._known: set[str] = set()

    def find(self, virtual: str) -> LastingKey | None:
        """The key's record, or None for a key that was never ours.

        Raises NoburnError for one that was removed, and for a file that is broken.
        """
        found = self._found(virtual)
        if found is None and virtual in self._known:
            raise NoburnError("this key was removed", next_step="see `noburn keys list`")
        return found

    def _found(self, virtual: str) -> LastingKey | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        at = (status.st_mtime_ns, status.st_ino)
        if at != self._looked.at:
            self._looked = _Looked(at, {one.digest: one for one in read_keys(self._path)})
        return self._looked.keys.get(digest_of(virtual))

    async def lend(self, virtual: str, key: LastingKey) -> None:
        """See that the daemon has the real key.  Raises NoburnError."""
        async with self._lent.setdefault(virtual, asyncio.Lock()):
            if virtual not in self._known:
                real = await asyncio.to_thread(real_key, key.source, os.environ)
                await asyncio.to_thread(self._lending.add, {virtual: real})
                self._known.add(virtual)

    def close(self) -> None:
        self._lending.close()
