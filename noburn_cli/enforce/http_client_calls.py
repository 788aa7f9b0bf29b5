"""One guarded request over http.client: held back, decided on, sent or answered.

Layer: enforce, injected (standard library, Python 3.10).  Below: guard, drivers, http_bytes,
http_client_answers.  Above: http_client_hook, which loads this when a request may be a call.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from noburn_cli.enforce import context, layers, signing
from noburn_cli.enforce.decisions import Pass, Refuse, Request, Send
from noburn_cli.enforce.drivers import decide, deliver, deliver_aside
from noburn_cli.enforce.guard import admit, route_of
from noburn_cli.enforce.http_bytes import HeldRequest, answer_bytes, request_bytes, with_target
from noburn_cli.enforce.http_client_answers import follow
from noburn_cli.enforce.outcome import Tracker
from noburn_cli.enforce.outgoing import exchanged, readable
from noburn_cli.providers.codec import Block, CountRequest
from noburn_cli.providers.registry import Route, Upstream

#: The provider's count is a courtesy that must not hang a call, in seconds.
_COUNT_TIMEOUT_S = 10.0
_COUNT_BYTES_MAX = 1024 * 1024
#: What a local socket takes without a reader: 208 kB by default on Linux, 8 kB on macOS.
_SOCKET_BYTES = 8 * 1024


def begin(
    connection: Any, begun: Any, head: bytes, send: Any, *, every_client: bool
) -> GuardedRequest | None:
    """The request that begins with these bytes, if it is to be guarded.

    send: http.client's own `send`.
    """
    above = layers.above()
    marked = layers.marked()
    if marked is None and above is not None:
        marked = above.upstreams
    if marked is None and not every_client:
        return None
    try:
        held = HeldRequest(head)
    except ValueError:
        return None  # Not a request as http.client writes it.
    url = _url(connection, begun.target)
    upstreams = (*(marked or ()), *context.upstreams())
    route = route_of(begun.method, url, upstreams, held.lower_headers())
    if route is None:
        return None
    if above is not None and above.take():
        return None
    deliver(layers.tried_again())
    return GuardedRequest(connection, begun.method, url, held, send, route, upstreams)


class GuardedRequest:
    """From the first held byte to the head of the answer."""

    def __init__(
        self,
        connection: Any,
        method: str,
        url: str,
        held: HeldRequest,
        send: Any,
        route: Route,
        upstreams: Sequence[Upstream],
    ) -> None:
        # Not in a circle: what is forgotten is to be noticed at once.
        self._connection = weakref.ref(connection)
        self._method = method
        self._url = url
        self._held = held
        self._send_bytes = send
        self._route = route
        self._upstreams = upstreams
        self._tracker: Tracker | None = None
        self._is_decided = False

    def receive(self, data: Any) -> None:
        """More of the body, in whatever form http.client takes it."""
        if hasattr(data, "read"):
            while part := data.read(1024 * 1024):
                self._held.receive(part.encode("latin-1") if isinstance(part, str) else part)
        elif isinstance(data, (bytes, bytearray, memoryview)):
            self._held.receive(bytes(data))
        else:
            try:
                self._held.receive(bytes(memoryview(data)))
            except TypeError:
                for part in data:
                    self._held.receive(part)

    def go_on(self) -> None:
        """Decide and send as soon as the request is whole."""
        if not self._is_decided and self._held.is_whole():
            self._is_decided = True
            self._decide()

    def answer(self, read: Callable[[], Any]) -> Any:
        """The head of the answer, with its body followed."""
        if not self._is_decided:  # A body shorter than its length: the provider is to complain.
            self._is_decided = True
            self._decide()
        tracker, self._tracker = self._tracker, None
        if tracker is None:
            return read()
        try:
            response = read()
        except BaseException as error:
            deliver(tracker.broke(error))
            raise
        follow(response, tracker)
        return response

    def dropped(self) -> None:
        """The connection was closed before the answer's head was read."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            deliver_aside(tracker.abandoned("the connection was closed before an answer"))

    def __del__(self) -> None:
        self.dropped()

    def _decide(self) -> None:
        held = self._held
        request = Request(self._method, self._url, held.lower_headers(), held.body)
        steps = admit(self._route, request, self._upstreams)
        decision = decide(self._route, steps, self._ask_provider)
        if isinstance(decision, Pass):
            self._send(self._passed(decision))
        elif isinstance(decision, Refuse):
            self._refuse(decision.block)
        else:
            self._tracker = decision.tracker
            try:
                raw = self._edited(decision)
            except signing.NotSigned as error:
                deliver(decision.tracker.not_sent(error))
                self._tracker = None
                self._refuse(signing.refusal(self._route, error))
                return
            self._send(raw)

    def _passed(self, decision: Pass) -> bytes:
        headers, target = exchanged(self._held.headers, self._target(), decision.exchange)
        if decision.exchange is None and len(headers) == len(self._held.headers):
            return bytes(self._held.raw)
        line = with_target(self._held.request_line, target)
        return request_bytes(line, headers, self._held.body)

    def _edited(self, decision: Send) -> bytes:
        held, body = self._held, decision.body
        signed = signing.sign_anew(held.headers, unedited=held.body, body=body, url=decision.url)
        if signed is None:
            if signing.is_signed(held.headers):
                return bytes(held.raw)
            signed = readable(held.headers)
        target = self._target()
        if decision.url is not None:
            target = _in_the_form_of(target, decision.url)
        headers, target = exchanged(signed, target, decision.exchange)
        return request_bytes(with_target(held.request_line, target), headers, body)

    def _target(self) -> str:
        return self._held.request_line.split(b" ", 2)[1].decode("latin-1")

    def _send(self, raw: bytes) -> None:
        """Connect, which costs nothing, and send; the answer is read by whoever asked."""
        connection = self._connection()
        assert connection is not None
        tracker = self._tracker
        try:
            if connection.sock is None and connection.auto_open:
                connection.connect()
        except BaseException as error:
            self._tracker = None
            deliver(None if tracker is None else tracker.not_sent(error))
            raise
        try:
            self._send_bytes(connection, raw)
        except BaseException as error:
            self._tracker = None
            deliver(None if tracker is None else tracker.broke(error))
            raise

    def _refuse(self, block: Block) -> None:
        """Put a connection to ourselves in the place of the provider's, with the answer in it."""
        connection = self._connection()
        assert connection is not None
        if connection.sock is not None:
            connection.sock.close()
        ours, theirs = socket.socketpair()
        raw = answer_bytes(block.status, block.headers, block.body)
        if len(raw) <= _SOCKET_BYTES:
            _fill(ours, raw)
        else:  # A kept answer may be more than a socket takes before anybody reads.
            threading.Thread(target=_fill, args=(ours, raw), daemon=True).start()
        connection.sock = theirs

    def _ask_provider(self, count: CountRequest) -> bytes | None:
        """The provider's free count, on a connection of the same kind; None for any failure."""
        connection = self._connection()
        assert connection is not None
        headers, target = exchanged(
            readable(self._held.headers), _target_of(self._target(), count), count.exchange
        )
        line = with_target(self._held.request_line, target)
        try:
            if connection.sock is None:
                connection.connect()
            before = connection.sock.gettimeout()
            connection.sock.settimeout(_COUNT_TIMEOUT_S)
            try:
                self._send_bytes(connection, request_bytes(line, headers, count.body))
                answer = connection.response_class(connection.sock, method="POST")
                answer.begin()
                body = answer.read(_COUNT_BYTES_MAX)
                ends = answer.will_close or not answer.isclosed()
                answer.close()
            finally:
                connection.sock.settimeout(before)
        except Exception:  # noqa: BLE001 - without the count the daemon decides on what it has
            ends, answer, body = True, None, b""
        if ends and connection.sock is not None:
            sock, connection.sock = connection.sock, None
            sock.close()
        return bytes(body) if answer is not None and answer.status == 200 else None


def _fill(ours: socket.socket, raw: bytes) -> None:
    """Send a whole answer; a program that lets go of it is no error."""
    with ours, contextlib.suppress(OSError):
        ours.sendall(raw)


def _url(connection: Any, target: str) -> str:
    """The whole URL of a request, also by way of a proxy."""
    if "://" in target.partition("?")[0]:
        return target
    scheme = "https" if connection.default_port == 443 else "http"
    host = getattr(connection, "_tunnel_host", None)
    port = connection.port
    if host:
        port = getattr(connection, "_tunnel_port", None)
        scheme = "https"  # Nobody opens a tunnel for plain HTTP.
    else:
        host = connection.host
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"{scheme}://{host}{'' if port is None else f':{port}'}{target}"


def _in_the_form_of(target: str, url: str) -> str:
    """The URL as a target: whole for a proxy, else its path and query."""
    if "://" in target.partition("?")[0]:
        return url
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path, parts.query, ""))


def _target_of(target: str, count: CountRequest) -> str:
    """Where the count goes, in the form in which the call's own target stands."""
    if "://" in target.partition("?")[0]:
        return count.url_of(target)
    return count.url_of(f"http://host{target}").removeprefix("http://host")
