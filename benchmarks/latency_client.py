"""The caller of the latency benchmark: chat completions, so many at once, each one timed.

    python benchmarks/latency_client.py httpx2|raw

Asks BASE_URL (or OPENAI_BASE_URL) with OPENAI_API_KEY.  Each line of standard input is {"parallel",
"calls"}; the answer is a line of latencies in nanoseconds.  `httpx2` is what the SDKs send through,
and where the hook is; `raw` writes to sockets, so that a gateway is measured and not its client.
Standard library, and httpx2: it also runs in an environment that is not noburn's.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any
from urllib.parse import urlsplit

BASE = os.environ.get("BASE_URL") or os.environ["OPENAI_BASE_URL"]
KEY = os.environ.get("OPENAI_API_KEY", "x")
BODY = json.dumps(
    {
        "model": "gpt-6-luna",
        "messages": [{"role": "user", "content": "Tell me about the harbour in winter."}],
        "max_completion_tokens": 64,
    }
).encode()
WITHIN_S = 60.0


class Raw:
    """One connection, kept alive, and no more HTTP than these answers need."""

    async def open(self) -> None:
        parts = urlsplit(BASE)
        assert parts.hostname
        self.reader, self.writer = await asyncio.open_connection(parts.hostname, parts.port)
        self.request = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"authorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(BODY)}\r\n\r\n"
        ).encode() + BODY

    async def call(self) -> int:
        self.writer.write(self.request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            while size := int(await self.reader.readline(), 16):
                await self.reader.readexactly(size + 2)
            await self.reader.readline()
        else:
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await self.reader.readexactly(int(length))
        return int(head.split(b" ", 2)[1])

    async def close(self) -> None:
        self.writer.close()


class Httpx2:
    """One client for all, as an SDK has it."""

    client: Any = None

    async def open(self) -> None:
        import httpx2

        if Httpx2.client is None:
            limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
            Httpx2.client = httpx2.AsyncClient(timeout=WITHIN_S, limits=limits)
        self.headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}

    async def call(self) -> int:
        answer = await Httpx2.client.post(
            f"{BASE}/chat/completions", content=BODY, headers=self.headers
        )
        return int(answer.status_code)

    async def close(self) -> None:
        pass


async def measure(kind: Any, parallel: int, calls: int) -> list[int]:
    """The latencies of `calls` calls, `parallel` of them at any time; connections are warm."""
    callers = [kind() for _ in range(parallel)]
    taken: list[int] = []

    async def work(caller: Any, count: int, times: list[int]) -> None:
        for _ in range(count):
            began = time.perf_counter_ns()
            status = await caller.call()
            times.append(time.perf_counter_ns() - began)
            if status != 200:
                raise SystemExit(f"{BASE} answered {status}")

    for caller in callers:
        await caller.open()
    await asyncio.gather(*(work(caller, 1, []) for caller in callers))
    await asyncio.gather(*(work(caller, max(1, calls // parallel), taken) for caller in callers))
    for caller in callers:
        await caller.close()
    return taken


async def main() -> None:
    kind = {"raw": Raw, "httpx2": Httpx2}[sys.argv[1]]
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        print(json.dumps(await measure(kind, order["parallel"], order["calls"])), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
