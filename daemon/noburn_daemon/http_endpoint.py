"""/metrics, /healthz and /readyz over HTTP: on the loopback, or on a socket in the home folder.

Layer: daemon, event loop.  Below: core.service_keys (the address).  Above: service.
Owns: the little of HTTP/1.1 (RFC 9112) that a scraper speaks: one GET or HEAD, one answer, closed.
Everything has a limit.  A `Host` that is a name of somebody else's is refused, so that no web page
can have its reader's browser ask.
Not here: what is answered (metrics, service).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

from noburn_cli.core.service_keys import ON_SOCKET, metrics_address
from noburn_daemon.exposition import CONTENT_TYPE

HEAD_BYTES_MAX = 8 * 1024
HEAD_S = 10.0
CONNECTIONS_MAX = 64
SOCKET_NAME = "metrics.sock"
_PLAIN = "text/plain; charset=utf-8"
_REASONS = {
    200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    503: "Service Unavailable",
}  # fmt: skip

#: (status, content type, body) of a path, or None for one that there is not.
Answer = tuple[int, str, str]
Answers = Callable[[str], Answer | None]

_log = logging.getLogger("noburn.http")


class Endpoint:
    """Listens where the settings say, and moves when they change."""

    def __init__(self, answers: Answers, folder: Path) -> None:
        self._answers = answers
        self._folder = folder
        self._address: str | None = None
        self._server: asyncio.Server | None = None
        self._made: Path | None = None
        self._open: set[_Connection] = set()
        self._lock = asyncio.Lock()
        #: Why nothing is served, or None.
        self.refused: str | None = None

    async def move(self, address: str | None) -> None:
        """Serve there; None serves nothing.  What cannot be served is told by `refused`."""
        async with self._lock:
            if address == self._address and self.refused is None:
                return
            self.close()
            self._address, self.refused = address, None
            if address is None:
                return
            try:
                listener = self._listen(address)
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(self._connection, sock=listener)
            except OSError as error:
                self.refused = f"metrics cannot be served at {address}: {error.strerror or error}"
                _log.warning("%s", self.refused)
                return
            _log.info("metrics are served at %s", address)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._open):
            connection.close()
        if self._made is not None:
            with contextlib.suppress(OSError):
                self._made.unlink()
            self._made = None

    def _listen(self, address: str) -> socket.socket:
        """A listening socket.  Raises OSError."""
        if address == ON_SOCKET:
            path = self._folder / SOCKET_NAME
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            place: str | tuple[str, int] = str(path)
            self._made = path
        else:
            host, port = metrics_address(address)
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.socket(family)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            place = (host, port)
        try:
            before = os.umask(0o177)
            try:
                listener.bind(place)
            finally:
                os.umask(before)
            listener.listen(CONNECTIONS_MAX)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        return listener

    def _connection(self) -> _Connection:
        return _Connection(self._answers, self._open)


class _Connection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self, answers: Answers, among: set[_Connection]) -> None:
        self._answers = answers
        self._among = among
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._among.add(self)
        self._timer = asyncio.get_running_loop().call_later(HEAD_S, self.close)
        if len(self._among) > CONNECTIONS_MAX:
            self.close()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._head += data
        if len(self._head) > HEAD_BYTES_MAX:
            self._answer((400, _PLAIN, "the request is too long\n"))
        elif b"\r\n\r\n" in self._head:
            self._answer(*_answer_to(self._head, self._answers))

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        self._among.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, answer: Answer, head_only: bool = False) -> None:
        assert self._transport is not None
        status, kind, body = answer
        content = body.encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self._transport.write(head.encode("ascii") + (b"" if head_only else content))
        self._transport.close()


def _answer_to(head: bytes, answers: Answers) -> tuple[Answer, bool]:
    """The answer to a request's head, and whether it goes without its body."""
    lines = head.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return (400, _PLAIN, "this is not HTTP/1\n"), False
    hosts = [line.partition(":")[2] for line in lines[1:] if line.lower().startswith("host:")]
    if any(not _is_local(host.strip()) for host in hosts):
        return (403, _PLAIN, "only this machine's own names are answered\n"), False
    if words[0] not in ("GET", "HEAD"):
        return (405, _PLAIN, "only GET and HEAD\n"), False
    found = answers(words[1].partition("?")[0])
    if found is None:
        found = (404, _PLAIN, "there are /metrics, /healthz and /readyz\n")
    return found, words[0] == "HEAD"


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine, as an address of the loopback or `localhost`."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    return name.lower() in ("localhost", "")


def metrics_answer(text: str) -> Answer:
    return 200, CONTENT_TYPE, text


def health_answer(why_not: str | None) -> Answer:
    """why_not: the reason for a 503, or None."""
    return (200, _PLAIN, "ok\n") if why_not is None else (503, _PLAIN, f"{why_not}\n")
