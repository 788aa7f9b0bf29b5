"""Do the links hold?  Rows one after the other, from the first, from a seal, or from a kept head.

Layer: reports, pure.  Below: core.chain, core.seals.  Above: reports.verify.
Owns: which rows are linked, which are vouched for by a seal, which row is the first bad one.
Not here: reading them (reports.verify), what they mean (reports.bindings, reports.balances).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from noburn_cli.core.seals import Digest, Seal, row_digest


class Links:
    """Takes rows in the order of seq; `bad_seq` is the first whose place in the chain is wrong.

    seal: the newest, which says from where on rows are linked.
    after: (seq, link) of the row before the first one given; None to begin where the chain does.
    head: a link that one of the rows is to have, or None.
    changed: (seq, digest) of rows whose texts were forgotten, in order.
    """

    def __init__(
        self, seal: Seal, changed: Iterator[tuple[int, str]], *,
        after: tuple[int, bytes] | None = None, head: bytes | None = None,
    ) -> None:  # fmt: skip
        self.bad_seq: int | None = None
        self.rows = 0
        self._through = seal.through if after is None else 0
        self._seq, self._link = after or (seal.through, bytes.fromhex(seal.link))
        self._wanted = seal.kept if after is None else None
        self._kept = Digest()
        self._changed = changed
        self._next_changed = next(changed, None)
        self._head = head
        #: Whether a row carried the head that was kept elsewhere; true when none was.
        self.head_seen = head is None or self._link == head

    @property
    def link(self) -> bytes:
        """The link of the last row."""
        return self._link

    @property
    def seq(self) -> int:
        """The last row's number."""
        return self._seq

    def add(self, seq: int, encoded: bytes, stored: bytes) -> bool:
        """Check one row in its canonical form; whether all is well so far."""
        self.rows += 1
        if stored == self._head:
            self.head_seen = True
        if seq <= self._through:
            self._kept.add(encoded, stored)
            return True
        if self._wanted is not None and not self._check_kept():
            return False
        expected = self._seq + 1
        is_changed = self._next_changed is not None and self._next_changed[0] == seq
        linked = self._is_vouched_for(encoded) if is_changed else (
            sha256(self._link + encoded).digest() == stored
        )  # fmt: skip
        if seq != expected or not linked:
            self.bad_seq = expected
            return False
        self._seq, self._link = seq, stored
        return True

    def end(self) -> None:
        """After the last row: what can only be told now."""
        if self.bad_seq is None and self._wanted is not None:
            self._check_kept()
        if self.bad_seq is None and not self.head_seen:
            self.bad_seq = self._seq + 1

    def _check_kept(self) -> bool:
        """Whether the rows that a compaction left are the ones that it left."""
        good = self._kept.hex == self._wanted
        self._wanted = None
        if not good:
            self.bad_seq = self._through
        return good

    def _is_vouched_for(self, encoded: bytes) -> bool:
        assert self._next_changed is not None
        _, digest = self._next_changed
        self._next_changed = next(self._changed, None)
        return digest == row_digest(encoded)
