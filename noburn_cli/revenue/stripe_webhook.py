"""Stripe's events as they happen: a webhook on this machine, or lines on standard input.

Layer: revenue, I/O.  Below: the package stripe (its signatures), revenue.stripe_import.
Above: commands.importing.stripe_account.
Owns: the loopback server, what is taken and what is refused.  An event is a hint: what it names is
asked of Stripe again, so that a late, doubled or forged one changes nothing that is not so.  It is
answered 200 when it is kept in the file: Stripe sends it again otherwise.
Not here: how it reaches this machine (`stripe listen --forward-to`, a reverse proxy).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any

from noburn_cli.errors import InputRefused, NoburnError, UsageError
from noburn_cli.revenue.stripe_import import StripeImport

VARIABLE = "STRIPE_WEBHOOK_SECRET"
HOST = "127.0.0.1"
#: Stripe's events have some kB; Stripe's own tolerance for their age is five minutes.
_BODY_BYTES_MAX = 1024 * 1024
_TOLERANCE_S = 300
_SOCKET_TIMEOUT_S = 10


@dataclass(frozen=True)
class Taken:
    """How many events were taken, and how many roots' facts were made anew for them."""

    events: int
    roots: int


class EventRefused(NoburnError):
    """An event that is not Stripe's, or not of this mode."""


def find_secret(environment: Mapping[str, str]) -> str:
    """The endpoint's signing secret.  Raises UsageError."""
    secret = environment.get(VARIABLE, "").strip()
    if not secret.startswith("whsec_"):
        raise UsageError(
            f"{VARIABLE} {'is no signing secret' if secret else 'is not set'}",
            why="an event without a signature could be anybody's",
            next_step="take the whsec_… of the endpoint from Stripe's dashboard, or of "
            "`stripe listen --print-secret`",
        )
    return secret


def take_event(job: StripeImport, event: Any) -> None:
    """Keep that something happened to an object, durably.  Raises EventRefused."""
    try:
        about, livemode = event["data"]["object"], event["livemode"]
        kind, name = about["object"], about.get("id")
    except (KeyError, TypeError, AttributeError) as error:
        raise EventRefused("that is no event of Stripe's") from error
    if livemode is not job.api.livemode:
        raise EventRefused(
            "the event is of the other mode than the key",
            why="test and live figures are never mixed",
        )
    if isinstance(kind, str) and isinstance(name, str):
        with job.store.change():
            job.changes.hint(about)


def take_lines(job: StripeImport, lines: Iterable[bytes]) -> Taken:
    """Events as JSON, one a line, as `stripe listen --print-json` writes them.

    Raises InputRefused for a line that is none; those before it are done.
    """
    events = roots = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            take_event(job, json.loads(line[:_BODY_BYTES_MAX]))
        except (ValueError, RecursionError, EventRefused) as error:
            raise InputRefused(f"line {number} is no event of Stripe's", why=str(error)) from error
        events += 1
        roots += job.catch_up()
    return Taken(events, roots)


#: The import of one account, with the file locked while it is open.
OpenJob = Callable[[], AbstractContextManager[StripeImport]]


class Webhook:
    """Serves POST requests with signed events on 127.0.0.1 while the `with` lasts.

    The revenue file is opened for each event, so that other imports can run meanwhile.
    port: 0 for any that is free.  Raises NoburnError when it is taken.
    """

    def __init__(self, open_job: OpenJob, secret: str, port: int) -> None:
        self._open_job = open_job
        self._secret = secret
        self._kept = threading.Event()
        webhook = self

        class Handler(_Handler):
            takes = webhook

        try:
            self._server = _Server((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            raise NoburnError(
                f"{HOST}:{port} cannot be listened at: {error}", next_step="name another port"
            ) from error
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Webhook:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.server_close()

    def serve(self, tell: Callable[[str], None]) -> None:
        """Take events until interrupted; between them, fetch what they named.

        A failure to reach Stripe is told, and tried again with the next event or second.
        """
        self._server.timeout = 1.0
        try:
            while True:
                self._server.handle_request()
                if self._kept.is_set():
                    self._kept.clear()
                    self._catch_up(tell)
        except KeyboardInterrupt:
            return

    def _catch_up(self, tell: Callable[[str], None]) -> None:
        try:
            with self._open_job() as job:
                roots = job.catch_up()
        except NoburnError as error:
            self._kept.set()
            tell(f"{error.message}; tried again")
            return
        if roots:
            tell(f"{roots} invoices and charges looked at again")

    def take(self, body: bytes, signature: str) -> None:
        """One request's event.  Raises EventRefused."""
        import stripe

        try:
            stripe.WebhookSignature.verify_header(
                body.decode("utf-8"), signature, self._secret, _TOLERANCE_S
            )
            event = json.loads(body)
        except stripe.SignatureVerificationError as error:
            raise EventRefused("the signature is not Stripe's, or too old") from error
        except (ValueError, RecursionError) as error:
            raise EventRefused("that is no event of Stripe's") from error
        with self._open_job() as job:
            take_event(job, event)
        self._kept.set()


class _Server(HTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    takes: Webhook
    timeout = _SOCKET_TIMEOUT_S
    server_version = "noburn"
    sys_version = ""

    def do_POST(self) -> None:
        said = self.headers.get("content-length", "")
        if not said.isdecimal() or int(said) > _BODY_BYTES_MAX:
            self._answer(413, "an event has at most 1 MB")
            return
        body = self.rfile.read(int(said))
        try:
            self.takes.take(body, self.headers.get("stripe-signature", ""))
        except EventRefused as error:
            self._answer(400, error.message)
        except NoburnError as error:
            self._answer(503, error.message)
        else:
            self._answer(200, "kept")

    def _answer(self, status: int, text: str) -> None:
        content = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet: what matters is told by serve."""
