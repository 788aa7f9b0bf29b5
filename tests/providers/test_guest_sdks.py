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
from noburn_cli.prices import load_book
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
    book = load_book({"NOBURN_PRICES": str(GUESTS / "prices.toml")})
    with BillingStub(book=book, defaults={"x-stub-output-tokens": "80"}) as running:
        yield running


BLOCKED = {"message": "noburn: no money is left", "code": "noburn_budget_exceeded"}


def call_everything(program: str, api: str, content_type: str, *arguments: str) -> Any:
    """Run a guest program with two more servers: one that blocks, one that ends a stream loudly.

    What it says about them is checked here: our words, after one request.
    """
    codec = registry.codec(api)
    cut = codec.stream_error(**BLOCKED)
    headers = (("content-type", content_type), ("content-length", str(len(cut))))
    with (
        answering(codec.block(**BLOCKED)) as (blocking_url, asked),
        answering(Block(200, headers, cut)) as (cutting_url, asked_again),
    ):
        seen = run(program, *arguments, blocking_url, cutting_url)
    assert seen["blocked"] == [402, BLOCKED["message"]]
    assert BLOCKED["message"] in seen["cut"]
    assert (len(asked), len(asked_again)) == (1, 1)
    return seen


def test_google_genai(stub: BillingStub) -> None:
    seen = call_everything("gemini", "gemini", "text/event-stream", stub.url, "gemini-3.8-flash")
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


def test_boto3_and_anthropic_on_bedrock(stub: BillingStub) -> None:
    model = "us.anthropic.claude-haiku-5-5-v1:0"
    binary = "application/vnd.amazon.eventstream"
    seen = call_everything("bedrock", "bedrock_converse", binary, stub.url, model)
    assert stub.wait_idle()
    calls = [call.usage for call in stub.bill.calls]
    ways = (
        *("converse", "converse_stream", "invoke", "invoke_stream"),
        *("anthropic", "anthropic_stream"),
    )
    for way, billed in zip(ways, calls, strict=False):
        assert seen[way] == {"in": billed["input"], "out": 50, "reason": "max_tokens"}, way
        assert billed["output"] == 50
    assert seen["vector"] == 3
    assert len(calls) == len(ways) + 1


def test_mistral_cohere_and_groq(stub: BillingStub) -> None:
    block = registry.codec("mistral_chat").block(**BLOCKED)
    cut = registry.codec("cohere_chat").stream_error(**BLOCKED)
    headers = (("content-type", "text/event-stream"), ("content-length", str(len(cut))))
    with (
        answering(block) as (blocking_url, asked),
        answering(Block(200, headers, cut)) as (cutting_url, _),
    ):
        seen = run("others", stub.url, blocking_url, cutting_url)
    assert seen["blocked"] == [[402, BLOCKED["message"]]] * 3
    assert len(asked) == 3
    assert BLOCKED["message"] in seen["cut"]
    assert stub.wait_idle()
    calls = stub.bill.calls
    ways = ("mistral", "mistral_stream", "mistral_fim", "groq", "cohere", "cohere_stream")
    for way, call in zip(ways, calls, strict=False):
        assert (seen[way]["in"], seen[way]["out"]) == (call.usage["input"], 50), way
        assert call.usage["output"] == 50
        assert seen[way]["reason"].lower() in ("length", "max_tokens")
        assert call.model.startswith(way.partition("_")[0] + "/")
    assert (seen["mistral_vectors"], seen["cohere_vectors"]) == (2, 2)
    assert len(calls) == len(ways) + 2
