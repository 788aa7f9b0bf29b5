"""Coding agents' logs on this machine, added up: no daemon, no ledger, nothing written.

Layer: importing, I/O.  Below: agents, opening, sources, core.imported.  Above: commands.
Owns: which logs a period needs, and the sums by day, model and project at list price.

A log that was last written before the period has no call in it, and is not opened; a codex session
that was forked brings along those that it was forked from, since it begins with a copy of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path

from noburn_cli.core.imported import ImportedCall, ListPrices
from noburn_cli.core.usage import billed_total
from noburn_cli.errors import InputRefused
from noburn_cli.importing import agents
from noburn_cli.importing.fields import Unread
from noburn_cli.importing.opening import Record, records
from noburn_cli.importing.outcome import Outcome
from noburn_cli.importing.reading import Asked, LeftOut, Reader, Source, plausible
from noburn_cli.importing.sources.registry import SOURCES

DAY_MS = 86_400_000


@dataclass
class Sums:
    """What some calls come to, at list price in nano-dollars.

    unpriced: calls of models that the price book does not have; they are in no amount.
    """

    calls: int = 0
    tokens: int = 0
    list_nano: int = 0
    unpriced: int = 0

    def add(self, tokens: int, list_nano: int | None) -> None:
        self.calls += 1
        self.tokens += tokens
        self.list_nano += list_nano or 0
        self.unpriced += list_nano is None


@dataclass
class Agent:
    """One agent's logs.  files: all that are there; opened: those that the period needed."""

    source: Source
    folders: list[Path]
    files: int = 0
    opened: int = 0
    sums: Sums = field(default_factory=Sums)


@dataclass
class Detected:
    """The period's calls.  zone: that of the days, for a person."""

    since_ms: int
    until_ms: int
    zone: str
    agents: list[Agent] = field(default_factory=list)
    by_day: dict[str, Sums] = field(default_factory=dict)
    by_model: dict[str, Sums] = field(default_factory=dict)
    by_project: dict[str, Sums] = field(default_factory=dict)
    total: Sums = field(default_factory=Sums)
    outcome: Outcome = field(default_factory=lambda: Outcome("detect"))
    unpriced_models: Counter[str] = field(default_factory=Counter)


def detect(
    environment: Mapping[str, str], home: Path, *, since_ms: int, until_ms: int,
    zone: tzinfo | None, prices: ListPrices, tell: Callable[[int, int, str], None],
) -> Detected:  # fmt: skip
    """Find the logs and add up the period's calls.

    zone: whose days; None for this machine's.  tell: (files done, of, an agent's title).
    """
    name = datetime.fromtimestamp(until_ms / 1000, zone).astimezone(zone).tzname() or f"{zone}"
    found = Detected(since_ms, until_ms, name)
    for source_name, folders in agents.folders(environment, home).items():
        if not folders:
            continue
        agent = Agent(SOURCES[source_name], folders)
        found.agents.append(agent)
        calls = _Calls(agent, found.outcome, since_ms)
        calls.read([one for folder in folders for one in agents.logs(source_name, folder)], tell)
        for call in calls.best.values():
            if since_ms <= call.at_ms < until_ms:
                _add(found, agent, call, prices, zone)
    return found


class _Calls:
    """The calls of one agent, each once."""

    def __init__(self, agent: Agent, outcome: Outcome, since_ms: int) -> None:
        self.best: dict[str, ImportedCall] = {}
        self._agent = agent
        self._outcome = outcome
        self._since_ms = since_ms
        self._lineage: dict[str, str] = {}
        self._answers: dict[str, str] = {}  # Of providers' ids, the calls' own.
        self._read: set[Path] = set()

    def read(self, files: list[Path], tell: Callable[[int, int, str], None]) -> None:
        """Read the files that the period needs."""
        self._agent.files = len(files)
        wanted = [one for one in files if self._is_recent(one)]
        while wanted:
            for number, path in enumerate(wanted):
                tell(number, len(wanted), self._agent.source.title)
                self._read_file(path)
            wanted = list(self._parents(files))
        self._agent.opened = len(self._read)

    def _is_recent(self, path: Path) -> bool:
        try:
            return path.stat().st_mtime * 1000 >= self._since_ms
        except OSError:
            return False

    def _parents(self, files: list[Path]) -> Iterable[Path]:
        """Files of sessions that others were forked from: their names end with the id."""
        parents = set(self._lineage.values())
        return (
            one for one in files
            if one not in self._read and any(one.stem.endswith(parent) for parent in parents)
        )  # fmt: skip

    def _read_file(self, path: Path) -> None:
        self._read.add(path)
        reader = self._agent.source.reader(Asked(f"{path}", lineage=self._lineage))
        try:
            for record in records(path, wants=reader.wants):
                self._outcome.records += 1
                if not record.skipped:
                    self._take(reader, record, path)
        except (OSError, InputRefused) as error:
            self._outcome.missing[f"{path}"] = f"{error}"

    def _take(self, reader: Reader, record: Record, path: Path) -> None:
        if record.values is None:
            self._outcome.not_read(record.fault, f"{path}", record.line)
            return
        try:
            for found in reader.read(record.values):
                if isinstance(found, Unread):
                    self._outcome.not_read(found.reason, f"{path}", record.line, found.what)
                elif isinstance(found, LeftOut):
                    self._outcome.left[found.reason] += 1
                else:
                    self._keep(plausible(found), f"{path}:{record.line}")
        except Unread as error:
            self._outcome.not_read(error.reason, f"{path}", record.line, error.what)

    def _keep(self, call: ImportedCall, place: str) -> None:
        identity = call.id or place
        if call.provider_id:
            identity = self._answers.setdefault(call.provider_id, identity)
        before = self.best.get(identity)
        if before is None or call.rank >= before.rank:
            self.best[identity] = call


def _add(
    found: Detected, agent: Agent, call: ImportedCall, prices: ListPrices, zone: tzinfo | None
) -> None:
    listed = prices.price(call, trust=agent.source.trust).list_nano
    tokens = billed_total(call.usage)
    day = f"{datetime.fromtimestamp(call.at_ms / 1000, zone):%Y-%m-%d}"
    project = call.attributes.get("project", "(none)")
    if listed is None:
        found.unpriced_models[call.model] += 1
    for sums in (
        agent.sums, found.total, found.by_day.setdefault(day, Sums()),
        found.by_model.setdefault(call.model, Sums()),
        found.by_project.setdefault(project, Sums()),
    ):  # fmt: skip
        sums.add(tokens, listed)
