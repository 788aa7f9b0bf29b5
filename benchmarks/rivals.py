"""The rules of the ledger, written for others: BEGIN IMMEDIATE per process, and the bare echo.

Every rival does what one operation of ours does at least: check five budgets, book five balances,
refuse nothing twice (the call's id is the key of its hold: a repeat changes nothing), write one row
of history.  None of them has windows, prices, waits, owners, or a chain of hashes.  The SQLite
rivals use the same SQLite as ours (apsw's).
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import apsw

from benchmarks.load import Load

BUDGETS = 5
LIMIT = 10**18
HOLD = 1_000_000
COST = 400_000

SCHEMA = """
    CREATE TABLE IF NOT EXISTS budgets(
        id INTEGER PRIMARY KEY, limit_nano INTEGER, settled INTEGER, held INTEGER);
    CREATE TABLE IF NOT EXISTS holds(
        call TEXT PRIMARY KEY, hold INTEGER, cost INTEGER) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS journal(
        seq INTEGER PRIMARY KEY, at_ms INTEGER, kind TEXT, call TEXT, amount INTEGER);
"""
_JOURNAL = "INSERT INTO journal (at_ms, kind, call, amount) VALUES (?, ?, ?, ?)"


def open_naive(path: str, *, wal: bool, synchronous: str) -> apsw.Connection:
    connection = apsw.Connection(path)
    connection.set_busy_timeout(120_000)
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    return connection


def make_naive(path: str, *, wal: bool) -> None:
    connection = open_naive(path, wal=wal, synchronous="NORMAL")
    connection.execute(SCHEMA)
    with connection:
        connection.executemany(
            "INSERT OR REPLACE INTO budgets VALUES (?, ?, 0, 0)",
            [(number, LIMIT) for number in range(BUDGETS)],
        )
    connection.close()


def reserve(connection: apsw.Connection, call: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    known = connection.execute("SELECT 1 FROM holds WHERE call = ?", (call,)).fetchone()
    if known is None:
        rows = connection.execute(
            "SELECT limit_nano, settled, held FROM budgets WHERE id < ?", (BUDGETS,)
        )
        if any(settled + held + HOLD > limit for limit, settled, held in rows):
            connection.execute("ROLLBACK")
            raise RuntimeError("blocked")
        connection.execute("UPDATE budgets SET held = held + ? WHERE id < ?", (HOLD, BUDGETS))
        connection.execute("INSERT INTO holds VALUES (?, ?, NULL)", (call, HOLD))
        connection.execute(_JOURNAL, (_now_ms(), "reserve", call, HOLD))
    connection.execute("COMMIT")


def settle(connection: apsw.Connection, call: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE holds SET cost = ? WHERE call = ? AND cost IS NULL", (COST, call))
    if connection.changes():
        connection.execute(
            "UPDATE budgets SET held = held - ?, settled = settled + ? WHERE id < ?",
            (HOLD, COST, BUDGETS),
        )
        connection.execute(_JOURNAL, (_now_ms(), "settle", call, COST))
    connection.execute("COMMIT")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _naive_process(
    path: str, wal: bool, synchronous: str, seconds: float, start: Any, results: Any
) -> None:
    connection = open_naive(path, wal=wal, synchronous=synchronous)
    latencies = []
    start.wait()
    began = time.perf_counter()
    deadline = time.perf_counter_ns() + int(seconds * 1e9)
    for number in itertools.count():
        call = f"{os.getpid():08d}-{number // 2:010d}"
        sent = time.perf_counter_ns()
        (settle if number % 2 else reserve)(connection, call)
        now = time.perf_counter_ns()
        latencies.append(now - sent)
        if now >= deadline:
            break
    results.put((time.perf_counter() - began, latencies))
    connection.close()


def drive_naive(folder: Path, *, callers: int, seconds: float, wal: bool, synchronous: str) -> Load:
    """`callers` processes, each with its own connection and BEGIN IMMEDIATE."""
    path = str(folder / f"naive-{time.time_ns()}.sqlite3")
    make_naive(path, wal=wal)
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(callers), context.Queue()
    processes = [
        context.Process(
            target=_naive_process, args=(path, wal, synchronous, seconds, start, results)
        )
        for _ in range(callers)
    ]
    for process in processes:
        process.start()
    load = Load()
    for _ in processes:
        took, latencies = results.get()
        load.seconds = max(load.seconds, took)
        load.latencies_ns.extend(latencies)
    for process in processes:
        process.join()
    load.operations = len(load.latencies_ns)
    for left in folder.glob(Path(path).name + "*"):
        left.unlink()
    return load


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)  # type: ignore[attr-defined]


def serve_echo(path: str) -> None:
    """The limit: a uvloop protocol that sends back what it was sent."""
    import uvloop

    async def run() -> None:
        await asyncio.get_running_loop().create_unix_server(_Echo, path)
        await asyncio.Event().wait()

    uvloop.run(run())
