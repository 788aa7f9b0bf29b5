"""What the ledger is measured beside: the bare echo, BEGIN IMMEDIATE per process, an HTTP service.

The SQLite rivals do the same work as one operation of ours: check five budgets, book five balances,
write one row of history; they use the same SQLite (apsw's) and survive kill -9 as ours does.
"""

from __future__ import annotations

import asyncio
import itertools
import json
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
"""


def open_naive(path: str, *, wal: bool) -> apsw.Connection:
    connection = apsw.Connection(path)
    connection.set_busy_timeout(120_000)
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def make_naive(path: str, *, wal: bool) -> None:
    connection = open_naive(path, wal=wal)
    connection.execute(SCHEMA)
    with connection:
        connection.executemany(
            "INSERT OR REPLACE INTO budgets VALUES (?, ?, 0, 0)",
            [(number, LIMIT) for number in range(BUDGETS)],
        )
    connection.close()


def reserve(connection: apsw.Connection, call: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    rows = connection.execute(
        "SELECT limit_nano, settled, held FROM budgets WHERE id < ?", (BUDGETS,)
    )
    if any(settled + held + HOLD > limit for limit, settled, held in rows):
        connection.execute("ROLLBACK")
        raise RuntimeError("blocked")
    connection.execute("UPDATE budgets SET held = held + ? WHERE id < ?", (HOLD, BUDGETS))
    connection.execute("INSERT INTO holds VALUES (?, ?, NULL)", (call, HOLD))
    connection.execute("COMMIT")


def settle(connection: apsw.Connection, call: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "UPDATE budgets SET held = held - ?, settled = settled + ? WHERE id < ?",
        (HOLD, COST, BUDGETS),
    )
    connection.execute("UPDATE holds SET cost = ? WHERE call = ?", (COST, call))
    connection.execute("COMMIT")


def _naive_process(path: str, wal: bool, seconds: float, start: Any, results: Any) -> None:
    connection = open_naive(path, wal=wal)
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


def drive_naive(folder: Path, *, callers: int, seconds: float, wal: bool) -> Load:
    """`callers` processes, each with its own connection and BEGIN IMMEDIATE."""
    path = str(folder / f"naive-{'wal' if wal else 'default'}-{callers}-{time.time_ns()}.sqlite3")
    make_naive(path, wal=wal)
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(callers), context.Queue()
    processes = [
        context.Process(target=_naive_process, args=(path, wal, seconds, start, results))
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


class _HttpCaller(asyncio.Protocol):
    def __init__(self, name: str, load: Load) -> None:
        self._name, self._load, self._number = name, load, 0
        self._buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def start(self, deadline_ns: int) -> None:
        self._deadline_ns = deadline_ns
        self._send()

    def _send(self) -> None:
        path = "/settle" if self._number % 2 else "/reserve"
        body = json.dumps({"call": f"{self._name}-{self._number // 2:010d}"}).encode()
        self._number += 1
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(head + body)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer.endswith(b"}"):
            return
        self._load.refused += b'{"ok":true}' not in self._buffer
        self._buffer = b""
        now = time.perf_counter_ns()
        self._load.latencies_ns.append(now - self._sent_ns)
        if now < self._deadline_ns:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()


def drive_http(socket_path: str, *, callers: int, seconds: float) -> Load:
    """`callers` keep-alive connections, one request in flight on each."""
    import uvloop

    async def run() -> Load:
        load = Load()
        loop = asyncio.get_running_loop()
        made = []
        for number in range(callers):
            name = f"{time.time_ns():x}-{number}"
            _, caller = await loop.create_unix_connection(
                lambda name=name: _HttpCaller(name, load), socket_path
            )
            made.append(caller)
        began = time.perf_counter()
        deadline = time.perf_counter_ns() + int(seconds * 1e9)
        for caller in made:
            caller.start(deadline)
        await asyncio.gather(*(caller.done for caller in made))
        load.seconds = time.perf_counter() - began
        load.operations = len(load.latencies_ns)
        return load

    return uvloop.run(run())
