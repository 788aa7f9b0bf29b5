"""The ways to reserve and settle that are measured side by side, each with its server running.

Every way belongs to a class: `process` (what was answered survives kill -9 of whoever wrote it) or
`power` (survives power loss too, as far as the disk keeps what fsync promises).  What is not
installed is left out, and said; `scripts/setup-bench` installs it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import postgres_rival, redis_rival, rivals
from benchmarks.http_service import HTTP, serve_http
from benchmarks.load import Load, Wire, drive, names
from tools import compile_daemon

ROOT = Path(__file__).resolve().parents[1]
PROCESS, POWER, LIMIT = "process", "power", "limit"
ATTRIBUTES = {"project": "p", "customer": "acme", "feature": "chat", "run": "r1", "tag.team": "x"}
SCOPES = ("global", "project=p", "customer=*", "feature=chat", "tag.team=x")
#: SQLite's word for each class.
SYNCHRONOUS = {PROCESS: "NORMAL", POWER: "FULL"}

RESERVE = json.dumps(
    {
        "op": "reserve", "api": "openai_chat", "model": "gpt-6-luna", "attrs": ATTRIBUTES,
        "input": {"bytes": 1200, "expanded": 1200, "overhead": 17, "tokens": 0, "window": False,
                  "counted": None},
        "input_kinds": ["input", "cache_read"], "variants": ["standard"],
        "output": {"wanted": 200, "floor": 1, "choices": 1, "clamp": False},
        "wait_ms": 0, "texts": None,
    },
    separators=(",", ":"),
).encode()[:-1]  # fmt: skip
SETTLE = json.dumps(
    {
        "op": "settle", "usage": {"input": 290, "output": 120}, "variant": "standard",
        "latency_ms": 840, "status": 200, "provider_id": None, "served_model": None,
        "failure": None,
    },
    separators=(",", ":"),
).encode()[:-1]  # fmt: skip
HELLO = b'{"n":0,"op":"hello","v":1,"client":"benchmark"}\n'


@dataclass(frozen=True)
class Way:
    """One way, ready to be driven by so many callers for so many seconds."""

    key: str
    name: str
    durability: str
    drive: Callable[[int, float], Load] = field(repr=False)


def frames_of(caller: int) -> Callable[[int], bytes]:
    """Reserve and settle in turn, each pair with a fresh id."""
    name_of = names()

    def frame(number: int) -> bytes:
        name = name_of(caller, number)
        return b'%s,"n":%d,"call":"%s"}\n' % (SETTLE if number % 2 else RESERVE, number, name)

    return frame


ECHO = Wire(frames_of)
NOBURN = Wire(frames_of, wanted=b'"ok":true', hello=HELLO)


def wait_for(path: str) -> None:
    """Until somebody listens at `path`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.005)
    raise SystemExit(f"nobody listens at {path}")


def start_daemon(
    home: Path, durability: str, *, budgets: bool = True, compiled: Path | None = None
) -> subprocess.Popen[bytes]:
    """A daemon in a folder of its own, with the five budgets set; from `compiled`, if given."""
    path = [str(part) for part in (compiled, ROOT, ROOT / "daemon") if part is not None]
    home.mkdir(mode=0o700, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "noburn_daemon", "--durability", durability],
        env={**os.environ, "NOBURN_HOME": str(home), "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.DEVNULL,
    )
    wait_for(str(home / "daemon.sock"))
    limit = {"unit": "dollars", "amount": rivals.LIMIT}
    for scope in SCOPES if budgets else ():
        ask(home, {"op": "budget.set", "scope": scope, "per": "total", "limit": limit})
    return process


def ask(home: Path, frame: dict[str, object]) -> dict[str, object]:
    """One request of its own connection.  Raises SystemExit when it is refused."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(home / "daemon.sock"))
        with peer.makefile("rwb") as lines:
            lines.write(HELLO + json.dumps({"n": 1, **frame}).encode() + b"\n")
            lines.flush()
            lines.readline()
            reply: dict[str, object] = json.loads(lines.readline())
    if not reply["ok"]:
        raise SystemExit(f"the daemon refused {frame}: {reply}")
    return reply


def _socket_way(key: str, name: str, durability: str, path: str, wire: Wire) -> Way:
    def run(callers: int, seconds: float) -> Load:
        return drive(path, wire, callers=callers, seconds=seconds)

    return Way(key, name, durability, run)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[list[Way], list[str]]]:
    """Every way that can be had here, and what is missing."""
    missing: list[str] = []
    with contextlib.ExitStack() as stack:
        echo = str(folder / "echo.sock")
        _serve(stack, rivals.serve_echo, echo)
        wait_for(echo)
        ways = [_socket_way("echo", "bare uvloop echo of the same frames", LIMIT, echo, ECHO)]
        compiled = _compiled(folder, missing)
        for durability in (PROCESS, POWER):
            ways += _ours(stack, folder, durability, compiled)
            ways += _of_class(stack, folder, durability, missing)
        yield ways, sorted(set(missing))


def _compiled(folder: Path, missing: list[str]) -> Path | None:
    """The daemon with its decisions compiled, made now; None where that cannot be."""
    into = folder / "compiled"
    try:
        compile_daemon.compile_into(into)
    except (OSError, subprocess.CalledProcessError):
        missing.append("noburn compiled (no mypyc, or no C compiler)")
        return None
    return into


def _ours(
    stack: contextlib.ExitStack, folder: Path, durability: str, compiled: Path | None
) -> Iterator[Way]:
    for key, name, place in (
        ("noburn", "noburn", None),
        ("compiled", "noburn, compiled", compiled),
    ):
        if key == "compiled" and place is None:
            continue
        home = folder / f"{key}-{durability}"
        stack.callback(_end, start_daemon(home, durability, compiled=place))
        yield _socket_way(key, name, durability, str(home / "daemon.sock"), NOBURN)


def _of_class(
    stack: contextlib.ExitStack, folder: Path, durability: str, missing: list[str]
) -> Iterator[Way]:
    way = partial(_socket_way, durability=durability)
    synchronous = SYNCHRONOUS[durability]
    naive = partial(rivals.drive_naive, folder, wal=True, synchronous=synchronous)
    yield _naive_way(
        "wal", f"BEGIN IMMEDIATE in each process, WAL {synchronous}", durability, naive
    )
    if durability == POWER:
        naive = partial(rivals.drive_naive, folder, wal=False, synchronous=synchronous)
        name = "BEGIN IMMEDIATE in each process, default journal"
        yield _naive_way("default", name, durability, naive)
    if postgres_rival.programs() is None:
        missing.append("PostgreSQL")
    else:
        commit = "on" if durability == POWER else "off"
        stop, path = postgres_rival.start(folder, commit)
        stack.callback(stop)
        name = f"PostgreSQL, one function call, synchronous_commit {commit}"
        yield way("postgres", name, path=path, wire=postgres_rival.POSTGRES)
    if not redis_rival.is_installed():
        missing.append("Redis")
    else:
        sync = "always" if durability == POWER else "everysec"
        server, path = redis_rival.start(folder, sync)
        stack.callback(_end, server)
        wait_for(path)
        yield way("redis", f"Redis, Lua, appendfsync {sync}", path=path, wire=redis_rival.REDIS)
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "httptools")):
        missing.append("FastAPI and uvicorn")
    else:
        path = str(folder / f"http-{durability}.sock")
        _serve(stack, serve_http, str(folder / f"http-{durability}.sqlite3"), path, synchronous)
        wait_for(path)
        yield way("http", f"FastAPI + SQLite WAL {synchronous}", path=path, wire=HTTP)


def _naive_way(key: str, name: str, durability: str, drive_it: Callable[..., Load]) -> Way:
    return Way(key, name, durability, lambda n, s: drive_it(callers=n, seconds=s))


def _serve(stack: contextlib.ExitStack, serve: Callable[..., None], *arguments: str) -> None:
    server = multiprocessing.get_context("fork").Process(target=serve, args=arguments, daemon=True)
    server.start()
    stack.callback(server.terminate)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()
