"""A rival of its own file: FastAPI over one SQLite connection in WAL, served by uvicorn."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI, Request

from benchmarks.rivals import make_naive, open_naive, reserve, settle


def serve_http(path: str, socket_path: str) -> None:
    """Serve /reserve and /settle over a Unix socket, with uvloop and httptools."""
    make_naive(path, wal=True)
    connection = open_naive(path, wal=True)
    app = FastAPI()

    @app.post("/reserve")
    async def reserve_call(request: Request) -> dict[str, bool]:
        reserve(connection, (await request.json())["call"])
        return {"ok": True}

    @app.post("/settle")
    async def settle_call(request: Request) -> dict[str, bool]:
        settle(connection, (await request.json())["call"])
        return {"ok": True}

    uvicorn.run(
        app, uds=socket_path, log_level="error", access_log=False, loop="uvloop", http="httptools"
    )
