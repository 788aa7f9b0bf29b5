"""Receivers of webhooks that behave as they are told, on a real socket."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass
class Got:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)

    def is_signed(self, secret: str = SECRET) -> bool:
        """As a receiver checks it: by the specification, not by our code."""
        stamp = self.headers["webhook-timestamp"]
        assert abs(int(stamp) - time.time()) < 300
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.key}.{stamp}.".encode() + self.body
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{right}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """answers: (status, headers) of the next requests, then 204 for ever; held: no answer yet."""

    url: str
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)

    def keys(self) -> list[str]:
        return [one.key for one in self.got]


@contextlib.contextmanager
def receiver(
    *answers: tuple[int, dict[str, str]], tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.got.append(Got({k.lower(): v for k, v in self.headers.items()}, body))
            told.held.wait(60)
            status, headers = told.answers.pop(0) if told.answers else (204, {})
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    told = Receiver(f"{scheme}://127.0.0.1:{server.server_port}/hook?token=t", list(answers))
    told.held.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        told.held.set()
        server.shutdown()
        thread.join()
        server.server_close()
