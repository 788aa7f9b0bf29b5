"""FastAPI over SQLite in WAL, as its documentation does blocking databases; a file of its own.

Plain `def` endpoints, which FastAPI runs in its thread pool, a pydantic body, and a connection for
each thread; one worker process of uvicorn with uvloop and httptools.  The rules are those of
`rivals`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from benchmarks.load import Wire, names
from benchmarks.rivals import make_naive, open_naive, reserve, settle


def serve_http(path: str, socket_path: str, synchronous: str) -> None:
    """Serve /reserve and /settle over a Unix socket."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    class CallBody(BaseModel):
        call: str

    globals()["CallBody"] = CallBody  # FastAPI looks annotations up there
    make_naive(path, wal=True)
    own = threading.local()
    app = FastAPI()

    def connection():  # type: ignore[no-untyped-def]
        if not hasattr(own, "connection"):
            own.connection = open_naive(path, wal=True, synchronous=synchronous)
        return own.connection

    @app.post("/reserve")
    def reserve_call(body: CallBody) -> dict[str, bool]:
        reserve(connection(), body.call)
        return {"ok": True}

    @app.post("/settle")
    def settle_call(body: CallBody) -> dict[str, bool]:
        settle(connection(), body.call)
        return {"ok": True}

    uvicorn.run(
        app, uds=socket_path, log_level="error", access_log=False, loop="uvloop", http="httptools"
    )


def _requests(caller: int) -> Callable[[int], bytes]:
    name_of = names()

    def request(number: int) -> bytes:
        path = b"/settle" if number % 2 else b"/reserve"
        body = json.dumps({"call": name_of(caller, number).decode()}).encode()
        return (
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (path, len(body), body)
        )

    return request


HTTP = Wire(_requests, end=b"}", wanted=b'{"ok":true}')
