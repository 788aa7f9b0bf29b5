"""What would make the books equal to a bill: the entries of one `ledger.correct`.

Layer: reconcile, pure.  Below: comparing, matching.  Above: commands.ledger.reconcile.
Owns: whom a difference is charged to, and the ids by which an entry is booked once.
Not here: what an entry does to balances (the daemon).

Money for calls that are in the books is charged where they are, in their proportions; money for
calls that are in no book to the attributes of the API key's scope, and to those that the caller
names for the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from noburn_cli.reconcile.bill import digest_of
from noburn_cli.reconcile.comparing import Comparison, start_ms
from noburn_cli.reconcile.matching import UNBILLED, UNGUARDED, Difference, Line
from noburn_cli.reconcile.ours import OurCall
from noburn_cli.reconcile.sharing import split

_NOON_MS = 43_200_000
_RUN = "run"
_ID_CHARS = 24

Entry = dict[str, Any]


class Booking:
    """The entries for one comparison.

    scopes: attributes by the name of a scope.  unguarded: attributes of money that no call in the
    books stands for.
    """

    def __init__(
        self, comparison: Comparison, *, scopes: Mapping[str, Mapping[str, str]],
        unguarded: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._comparison = comparison
        self._scopes = scopes
        self._unguarded = unguarded
        self.entries: list[Entry] = []
        for line in comparison.lines:
            for difference in line.differences:
                self._add(line, difference)

    @property
    def total_nano(self) -> int:
        """What the entries add to the books, bills of calls less their holds included."""
        return sum(
            difference.nano for line in self._comparison.lines for difference in line.differences
        )

    def _add(self, line: Line, difference: Difference) -> None:
        for call, nano, tokens in difference.bills:
            self._append(line, difference, _bill(call, nano, tokens))
        for call, nano, tokens in difference.against:
            entry = _amount(json.loads(call.attributes), nano, tokens, 0)
            self._append(
                line, difference, {**entry, "call": call.call, "for_ms": call.reserved_at_ms}
            )
        if difference.bills or difference.against or not (difference.nano or difference.tokens):
            return
        if difference.why == UNGUARDED:
            attributes = {**self._unguarded, **self._scopes.get(line.scope, {})}
            entry = _amount(attributes, difference.nano, difference.tokens, difference.calls)
            self._append(line, difference, entry)
            return
        self._share(line, difference)

    def _share(self, line: Line, difference: Difference) -> None:
        """One entry for each set of attributes that the line's calls have."""
        shares = sorted(line.ours.shares.items()) or [("{}", 1)]
        weights = [nano for _, nano in shares]
        amounts = split(difference.nano, weights)
        calls = split(-difference.calls if difference.why == UNBILLED else 0, weights)
        counts = {kind: split(count, weights) for kind, count in difference.tokens.items()}
        for n, (attributes, _) in enumerate(shares):
            tokens = {kind: parts[n] for kind, parts in counts.items() if parts[n]}
            if amounts[n] or tokens or calls[n]:
                entry = _amount(json.loads(attributes), amounts[n], tokens, calls[n])
                self._append(line, difference, entry)

    def _append(self, line: Line, difference: Difference, entry: Entry) -> None:
        entry = {
            "why": difference.why, "api": line.ours.api, "model": line.model,
            "for_ms": start_ms(line.day) + _NOON_MS, **entry,
        }  # fmt: skip
        if difference.note:
            entry["note"] = difference.note
        if "ends" in entry:
            entry = {key: value for key, value in entry.items() if key not in ("api", "model")}
        entry["id"] = self._id(line, entry)
        self.entries.append(entry)

    def _id(self, line: Line, entry: Entry) -> str:
        """The same on the same state of the books, for the same export and line, and no other."""
        identity = json.dumps(
            [
                self._comparison.provider, self._comparison.digest,
                self._comparison.last_correction, line.day, line.model, line.scope, entry,
            ],
            sort_keys=True, default=str,
        )  # fmt: skip
        return f"rc-{hashlib.sha256(identity.encode()).hexdigest()[:_ID_CHARS]}"


def batch_of(bookings: Iterable[Booking]) -> str:
    """The id of what is booked together, to take it back by."""
    ids = [entry["id"].encode() for booking in bookings for entry in booking.entries]
    return f"rc-{digest_of(ids)[:16]}"


def _amount(
    attributes: Mapping[str, str], nano: int, tokens: Mapping[str, int], requests: int
) -> Entry:
    """An entry for a day: a run is over when its bill comes, and has no part in it."""
    kept = {name: value for name, value in attributes.items() if name != _RUN}
    return {"attrs": kept, "nano": nano, "usage": dict(tokens), "requests": requests}


def _bill(call: OurCall, nano: int, tokens: Mapping[str, int]) -> Entry:
    if not nano and not tokens:
        return {"call": call.call, "ends": "void"}
    return {"call": call.call, "ends": "settle", "nano": nano, "usage": dict(tokens)}
