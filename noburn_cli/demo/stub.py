"""A provider on 127.0.0.1 that answers like OpenAI and Anthropic, and keeps a bill.

Layer: demo (ships in the wheel; standard library and noburn's own price book and ranks).
Owns: starting and stopping it, here or as a process.  Not here: HTTP, faults and the moment of
billing (demo.stub_http), the shapes of the answers (demo.stub_answers), counting
(demo.stub_tokens), the money (demo.stub_bill).

Each request can say how it is to be answered, in headers; `defaults` says it for all:

    x-stub-output-tokens N        the answer's natural length per choice (a cap still cuts it)
    x-stub-delay-ms N             before the answer begins
    x-stub-chunk-delay-ms N       before each piece of a stream but the first
    x-stub-status N               fail with this status, in the provider's error shape; not billed
    x-stub-reset before|after     reset the connection: before the answer (not billed), or in it
    x-stub-fault malformed|no-usage   a stream that breaks off into garbage; an answer without usage
    x-stub-on-disconnect stop|run_on|to_cap   what is billed when the client goes away: what was
                                  sent, the natural answer, or the whole cap
    x-stub-cached-tokens, x-stub-cache-write-tokens, x-stub-cache-write-1h-tokens N
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.demo.stub_bill import Bill
from noburn_cli.demo.stub_http import Server
from noburn_cli.prices import load_book

_ON_DISCONNECT = ("stop", "run_on", "to_cap")


class BillingStub:
    """The stub inside this process: `with BillingStub() as stub:` serves at `stub.url`.

    defaults: `x-stub-…` headers that hold for every request which does not send its own.
    on_disconnect: what is billed when a client goes away in the middle (see the module).
    required_key: the one key that it takes, in any of the providers' headers; others are answered
        401 in the provider's shape.  None takes every request, with a key or without.
    """

    def __init__(
        self,
        *,
        book: PriceBook | None = None,
        defaults: Mapping[str, str] | None = None,
        on_disconnect: str = "run_on",
        port: int = 0,
        required_key: str | None = None,
    ) -> None:
        if on_disconnect not in _ON_DISCONNECT:
            raise ValueError(f"on_disconnect is one of {', '.join(_ON_DISCONNECT)}")
        self.book = book or load_book(os.environ)
        self.bill = Bill(self.book)
        self.defaults = {"x-stub-on-disconnect": on_disconnect, **(defaults or {})}
        self.required_key = required_key
        self.requests: list[dict[str, Any]] = []
        #: While it is set, nothing is delayed; what is being delayed goes on at once.
        self.hurry = threading.Event()
        self._in_flight = 0
        self._changed = threading.Condition()
        self._server = Server(("127.0.0.1", port), self)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`; OpenAI's SDK wants `/v1` behind it, Anthropic's does not."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def bill_nano(self) -> int:
        """Everything billed so far, in nano-dollars."""
        return self.bill.total_nano()

    def wait_idle(self, timeout: float = 30) -> bool:
        """Wait until no request is being answered; False when that takes longer than `timeout`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_flight == 0, timeout)

    def __enter__(self) -> BillingStub:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        if self._thread is not None:
            self._thread.join()

    def begin(self, request: dict[str, Any]) -> None:
        with self._changed:
            self.requests.append(request)
            self._in_flight += 1

    def finish(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def state(self) -> dict[str, Any]:
        """The bill as JSON, with the number of requests that are still being answered."""
        with self._changed:
            in_flight = self._in_flight
        return {**self.bill.as_json(), "in_flight": in_flight}


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="A provider on this machine that bills.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--print-url", action="store_true", help="print the URL when ready")
    parser.add_argument("--on-disconnect", choices=_ON_DISCONNECT, default="run_on")
    parser.add_argument(
        "--default", action="append", default=[], metavar="NAME=VALUE", help="an x-stub- header"
    )
    parser.add_argument(
        "--required-key-from", metavar="VARIABLE", help="answer 401 to any key but the one in it"
    )
    chosen = parser.parse_args(arguments)
    defaults = dict(pair.split("=", 1) for pair in chosen.default)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with BillingStub(
        defaults=defaults,
        on_disconnect=chosen.on_disconnect,
        port=chosen.port,
        required_key=os.environ[chosen.required_key_from] if chosen.required_key_from else None,
    ) as stub:
        if chosen.print_url:
            sys.stdout.write(stub.url + "\n")
            sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
