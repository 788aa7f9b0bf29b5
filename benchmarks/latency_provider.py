"""A provider that answers at once: a bare asyncio protocol, so that what is measured is not it.

    python -m benchmarks.latency_provider

Prints its URL, then answers every POST with the same chat completion, keep-alive, until it is
ended.
"""

from __future__ import annotations

import asyncio
import json
from typing import cast

import uvloop

_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-6-luna",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "The ice went out in April."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22},
    }
).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class _Provider(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        self._tail += data
        while True:
            head, found, rest = self._tail.partition(b"\r\n\r\n")
            if not found:
                return
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            if len(rest) < length:
                return
            self._tail = rest[length:]
            self._transport.write(_ANSWER)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
