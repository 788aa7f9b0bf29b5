"""What was seen of a run besides its guarded calls: what may have gone past the guard.

Layer: beside run_summary; reads the ledger's `run_note` rows, writes nothing.
Owns: the sentences of the bypass report.  Who writes the notes: the supervisor, hooks, the gateway.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noburn_cli.ledger_file import reading_ledger

CONNECTION, PROCESS, KEY, CREDENTIALS = "connection", "process", "key", "credentials"
#: Under which name a kind stands in JSON.
_GROUPS = {
    CONNECTION: "connections", PROCESS: "processes", KEY: "own_keys", CREDENTIALS: "credentials",
    "gateway": "gateway",
}  # fmt: skip
_NAMED_MAX = 3
_NOTES = """
    SELECT detail FROM journal WHERE kind = 'run_note'
    AND (run = :run OR substr(run, 1, length(:run) + 1) = :run || '/') ORDER BY seq
"""


@dataclass(frozen=True)
class RunNotes:
    """Notes by kind, each as its writer detailed it, repeats left out."""

    by_kind: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            group: [dict(one) for one in self.by_kind.get(kind, ())]
            for kind, group in _GROUPS.items()
        }

    def lines(self) -> Iterator[str]:
        """A sentence for each kind of thing that a person should know."""
        seen = self.by_kind
        if seen.get(CONNECTION):
            hosts = _names(f"{one.get('host')}{_by(one)}" for one in seen[CONNECTION])
            yield f"past the guard: {_count(seen[CONNECTION], 'connection')} to {hosts}"
        if seen.get(PROCESS):
            names = _names(_process(one) for one in seen[PROCESS])
            yield f"without a guard, and without a key: {names}"
        if seen.get(KEY):
            hosts = _names(str(one.get("host")) for one in seen[KEY])
            yield f"guarded, but with a real key of the program's own: {hosts}"
        if seen.get(CREDENTIALS):
            names = _names(str(one.get("what")) for one in seen[CREDENTIALS])
            yield f"not covered by virtual keys: {names}"
        for one in seen.get("gateway", ()):
            yield f"the gateway served nobody: {one.get('failure')}"


def read_notes(ledger_path: Path, run: str) -> RunNotes:
    """The notes of a run and of the runs inside it.  Raises LedgerUnavailable."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    with reading_ledger(ledger_path) as ledger:
        for (text,) in ledger.execute(_NOTES, {"run": run}):
            detail = json.loads(text or "{}")
            found.setdefault(detail.pop("kind", ""), {}).setdefault(json.dumps(detail), detail)
    return RunNotes({kind: tuple(details.values()) for kind, details in found.items()})


def _process(one: Mapping[str, Any]) -> str:
    talks = one.get("connections")
    return f"{one.get('name')} (pid {one.get('pid')}{f', talks to {talks}' if talks else ''})"


def _by(one: Mapping[str, Any]) -> str:
    return f" by pid {one['pid']}" if one.get("pid") else ""


def _names(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    more = len(every) - _NAMED_MAX
    return ", ".join(every[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _count(notes: tuple[Mapping[str, Any], ...], noun: str) -> str:
    return f"{len(notes)} {noun}{'' if len(notes) == 1 else 's'}"
