"""Calls into the file: each once, whatever was imported before.

Layer: importing, I/O.  Below: store, core.imported, mapping.  Above: job.
Owns: what a record that is there already means: the same (nothing is written), a better one of two
(it replaces), or a lesser one (it is left out).  Records without an id of their source's are known
by what they say; equal ones in one file by their number there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from noburn_cli.core.imported import WITHOUT_TOKENS, ImportedCall, ListPrices, Priced
from noburn_cli.core.usage import KINDS
from noburn_cli.core.usage import split as split_usage
from noburn_cli.importing.mapping import columns_of
from noburn_cli.importing.store import Store

#: What became of a record; REPEATED: the batch has told of the call already, or knows it better.
NEW, REPLACED, SAME, REPEATED = "new", "replaced", "same", "repeated"

#: The last two are what a bill of the day may decide later (batches.settle_bills).
_COLUMNS = (
    "at_ms", "model", "context", *KINDS, "extra", "said_nano", "list_nano", "notional",
    "requests", "ran_ms", "status", "failure", "variant", "provider_id", "note", "rank",
    "cost_nano", "counts",
)  # fmt: skip
_DECIDED_LATER = 2
_ROW = f"SELECT seq, batch, rank, {', '.join(_COLUMNS)} FROM imported"  # noqa: S608
_FIND = f"{_ROW} WHERE source = ? AND id = ?"
_FIND_COPY = f"{_ROW} WHERE source = ? AND provider_id = ?"
#: Another source has told of the call, by the provider's id of its answer.
_TOLD = "EXISTS (SELECT 1 FROM imported WHERE provider_id = ? AND source <> ? AND seq < ?)"
_ADD = (
    f"INSERT INTO imported (source, id, batch, book, {', '.join(_COLUMNS)}, shadowed) "  # noqa: S608
    f"VALUES (?, ?, ?, ?, {', '.join('?' for _ in _COLUMNS)}, {_TOLD})"
)
_CHANGE = (
    f"UPDATE imported SET batch = ?, book = ?, {', '.join(f'{c} = ?' for c in _COLUMNS)}, "  # noqa: S608
    f"shadowed = {_TOLD} WHERE seq = ?"
)
_SHADOW = "UPDATE imported SET shadowed = 1 WHERE provider_id = ? AND source <> ? AND seq > ?"
_SEQ_MAX = 2**63 - 1


class Writer:
    """Writes the calls of one batch."""

    def __init__(self, store: Store, *, source: str, batch: int, prices: ListPrices,
                 trust: str, rule: str, earliest: bool) -> None:  # fmt: skip
        """earliest: whether of two records of one call the earlier time holds, as in agents' logs,
        which tell of one call several times.
        """
        self._store = store
        self._source = source
        self._batch = batch
        self._prices = prices
        self._trust = trust
        self._rule = rule
        self._earliest = earliest
        self._models: dict[tuple[str, str, str], int] = {}
        self._contexts: dict[str, int] = {}
        self._changes = -1
        store.execute("CREATE TEMP TABLE IF NOT EXISTS seen (digest BLOB PRIMARY KEY, n INTEGER)")

    def begin_step(self) -> None:
        """Inside each step: forget what is known of names if somebody else has changed the file.

        An `undo` or a `ledger forget` meanwhile may have taken names away, and their numbers may be
        others' by now.
        """
        (changes,) = next(self._store.execute("SELECT value FROM meta WHERE key = 'changes'"))
        if changes != self._changes:
            self._models.clear()
            self._contexts.clear()
        self._changes = changes + 1  # As this step will leave it.

    def begin_file(self) -> None:
        """Equal records are counted anew in every file."""
        self._store.execute("DELETE FROM seen")

    def write(self, call: ImportedCall, record: Mapping[str, Any]) -> str:
        """Write a call, by whose record it is known if it has no id; what became of it.

        Raises apsw.Error.
        """
        identity = call.id or self._by_content(record)
        found = self._known(identity, call.provider_id)
        if found is None:
            head = (self._source, identity, self._batch, self._prices.version)
            told = (call.provider_id or None, self._source, _SEQ_MAX)
            self._store.execute(_ADD, (*head, *self._values(call), *told))
            return NEW
        seq, batch, rank, *before = found
        if call.rank < rank:
            self._note_time(seq, call.at_ms, before[0])
            return REPEATED
        if self._earliest and before[0] < call.at_ms:
            call = replace(call, at_ms=before[0])
        values = self._values(call)
        if values[:-_DECIDED_LATER] == tuple(before[:-_DECIDED_LATER]):
            return REPEATED if batch == self._batch else SAME
        told = (call.provider_id or None, self._source, seq)
        self._store.execute(_CHANGE, (self._batch, self._prices.version, *values, *told, seq))
        self._store.execute(_SHADOW, told)
        return REPEATED if batch == self._batch else REPLACED

    def _known(self, identity: str, provider_id: str) -> tuple[Any, ...] | None:
        """The row of a call; of an agent's, also by the provider's id: its logs copy each other."""
        found = next(iter(self._store.execute(_FIND, (self._source, identity))), None)
        if found is None and provider_id and self._earliest:
            found = next(iter(self._store.execute(_FIND_COPY, (self._source, provider_id))), None)
        return found

    def _note_time(self, seq: int, at_ms: int, before: int) -> None:
        if self._earliest and at_ms < before:
            self._store.execute("UPDATE imported SET at_ms = ? WHERE seq = ?", (at_ms, seq))

    def _by_content(self, record: Mapping[str, Any]) -> str:
        """An id of what the whole record says, however it is understood today."""
        said = repr(sorted(record.items()))
        digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()[:16]
        (number,) = next(
            self._store.execute(
                "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n",
                (digest,),
            )
        )
        return f"row:{digest.hex()}:{number}"

    def _values(self, call: ImportedCall) -> tuple[object, ...]:
        priced = self._prices.price(call, trust=self._trust, rule=self._rule)
        text, extra = split_usage(call.usage)
        return (
            call.at_ms, self._model(call, priced), self._context(call.attributes),
            *(text.get(kind, 0) for kind in KINDS),
            json.dumps(extra, sort_keys=True) if extra else None,
            call.said_nano, priced.list_nano, int(call.notional), call.requests, call.ran_ms,
            call.status, call.failure or None, call.variant, call.provider_id or None,
            call.note or (None if call.tells_tokens else WITHOUT_TOKENS), call.rank,
            priced.cost_nano, priced.counts,
        )  # fmt: skip

    def _model(self, call: ImportedCall, priced: Priced) -> int:
        key = (call.maker or self._source, call.model, priced.model)
        if key not in self._models:
            self._models[key] = self._named(
                "INSERT INTO models (api, model, resolved_model, key) VALUES (?, ?, ?, ?)",
                (key[0], key[1], key[2] or None), "models", json.dumps(key),
            )  # fmt: skip
        return self._models[key]

    def _context(self, attributes: Mapping[str, str]) -> int:
        key = json.dumps(attributes, sort_keys=True)
        if key not in self._contexts:
            if len(self._contexts) > _NAMES_MAX:
                self._contexts.clear()
            own, tags = columns_of(attributes)
            names = ("project", "customer", "feature", "user", "job", "run", "step")
            self._contexts[key] = self._named(
                'INSERT INTO contexts (project, customer, feature, "user", job, run, step, tags, '
                "key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*(own.get(name) for name in names), json.dumps(tags, sort_keys=True)),
                "contexts", key,
            )  # fmt: skip
        return self._contexts[key]

    def _named(self, add: str, values: tuple[object, ...], table: str, key: str) -> int:
        find = f"SELECT id FROM {table} WHERE key = ?"  # noqa: S608 -- our own names
        found = next(iter(self._store.execute(find, (key,))), None)
        if found is None:
            self._store.execute(f"{add} ON CONFLICT DO NOTHING", (*values, key))
            found = next(self._store.execute(find, (key,)))
        return int(found[0])


#: Contexts that are remembered; sessions come and go, and an old one is looked up again.
_NAMES_MAX = 50_000
