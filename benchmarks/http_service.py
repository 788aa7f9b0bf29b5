"""FastAPI over SQLite in WAL, as its documentation does blocking databases; a file of its own.

Plain `def` endpoints, which FastAPI runs in its thread pool, a pydantic body, and a connection for
each thread; one worker process of uvicorn with uvloop and httptools.
"""

from __future__ import annotations

import threading

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.rivals import make_naive, open_naive, reserve, settle


class CallBody(BaseModel):
    call: str


def serve_http(path: str, socket_path: str) -> None:
    """Serve /reserve and /settle over a Unix socket."""
    make_naive(path, wal=True)
    own = threading.local()
    app = FastAPI()

    def connection():  # type: ignore[no-untyped-def]
        if not hasattr(own, "connection"):
            own.connection = open_naive(path, wal=True)
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
