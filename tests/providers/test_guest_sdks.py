"""The SDKs of other providers with the stub: what they read is what is billed, and our codecs bound
it; and a block of ours is one error after one request.

The SDKs live in an environment of their own (tests/guests/current.txt): each test is one process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.demo.stub import BillingStub
from noburn_cli.providers import registry
from noburn_cli.providers.codec import Block

GUESTS = Path(__file__).parent / "guests"
PYTHON = Path(sys.prefix) / "guests" / "current" / "bin" / "python"


def run(program: str, *arguments: str) -> Any:
    """What a guest program prints, read as JSON."""
    ran = subprocess.run(
        [str(PYTHON), "-W", "ignore", str(GUESTS / f"{program}.py"), *arguments],
        capture_output=True, text=True, timeout=120, check=False, cwd="/",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@contextmanager
def answering(block: Block) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with a block of ours; (its URL, the paths asked for)."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            asked.append(self.path)
            self.send_response_only(block.status)
            for name, value in block.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(block.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def stub() -> Iterator[BillingStub]:
    with BillingStub(defaults={"x-stub-output-tokens": "80"}) as running:
        yield running


BLOCKED = {"message": "noburn: no money is left", "code": "noburn_budget_exceeded"}


def test_google_genai(stub: BillingStub) -> None:
    with answering(registry.codec("gemini").block(**BLOCKED)) as (blocking_url, asked):
        seen = run("gemini", stub.url, "gemini-3.8-flash", blocking_url)
    assert seen["blocked"] == [402, BLOCKED["message"]]
    assert len(asked) == 1
    assert stub.wait_idle()
    calls = [call.usage for call in stub.bill.calls]
    ways = ("sync", "stream", "async", "async_stream")
    for way, billed in zip(ways, calls, strict=False):
        assert (seen[way]["prompt"], seen[way]["out"]) == (billed["input"], billed["output"]), way
        assert (billed["output"], seen[way]["reason"]) == (50, "MAX_TOKENS")
    assert seen["sync"]["words"] == 40  # The other ten were thoughts.
    assert seen["count"] > 0
    assert seen["vectors"] == 2
    assert len(calls) == len(ways) + 1
