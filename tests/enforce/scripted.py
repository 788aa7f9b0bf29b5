"""A provider whose every byte a test decides: what came in is kept, what goes out is given."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True)
class Answer:
    """What to answer: `body` as bytes, or as chunks; None breaks the connection off instead."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    body: bytes | Iterable[bytes | None] = b""


CHAT = {
    "id": "chat-1", "object": "chat.completion", "created": 1, "model": "gpt-6-luna",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Aye."}}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}  # fmt: skip
#: 9 tokens at $0.1 and 3 at $0.5 a million, in nano-dollars.
CHAT_NANO = 9 * 100 + 3 * 500
_CHUNK = {k: v for k, v in CHAT.items() if k not in ("choices", "usage")}
_CHUNK["object"] = "chat.completion.chunk"
_DELTA = {"index": 0, "delta": {"content": "Aye."}, "finish_reason": "stop"}
CHAT_EVENTS = (
    b"".join(
        b"data: " + json.dumps(part).encode() + b"\n\n"
        for part in (
            {**_CHUNK, "choices": [_DELTA]},
            {**_CHUNK, "choices": [], "usage": CHAT["usage"]},
        )
    )
    + b"data: [DONE]\n\n"
)
EVENT_STREAM = (("content-type", "text/event-stream"),)


class Scripted:
    """`with Scripted(answer) as provider`: `answer` makes of each Seen an Answer."""

    def __init__(self, answer: Callable[[Seen], Answer]) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.provider = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Scripted:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def chat_answer(_: Seen) -> Answer:
    return Answer(body=json.dumps(CHAT).encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        provider: Scripted = self.server.provider  # type: ignore[attr-defined]
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, self._body(headers))
        provider.seen.append(seen)
        answer = provider.answer(seen)
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if isinstance(answer.body, bytes):
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in answer.body:
            if chunk is None:
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _body(self, headers: dict[str, str]) -> bytes:
        if "transfer-encoding" not in headers:
            return self.rfile.read(int(headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)
