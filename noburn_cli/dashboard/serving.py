"""The dashboard's socket and its end: listens on loopback, tells the address, leaves on a signal.

Layer: dashboard, I/O.  Below: server, access.  Above: commands.dashboard.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp import web

from noburn_cli.dashboard.access import Access
from noburn_cli.dashboard.server import Dashboard, now_ms
from noburn_cli.errors import NoburnError
from noburn_cli.profit.reading import Question

HOST = "127.0.0.1"
#: How long answers under way may take once it is to end, in seconds.
_END_S = 2.0
_SECRET_BYTES = 32


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1.  Raises NoburnError when the port is taken or not allowed."""
    try:
        return socket.create_server((HOST, port), backlog=64)
    except OSError as error:
        raise NoburnError(
            f"the dashboard cannot listen on port {port}",
            why=error.strerror or str(error),
            next_step="choose another with --port, or 0 for a free one",
        ) from error


def has_browser(environment: Mapping[str, str]) -> bool:
    """Whether a browser would come up in a window, here: not in this terminal, nor far away."""
    if "BROWSER" in environment or "WSL_DISTRO_NAME" in environment:
        return True
    if sys.platform == "darwin":
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


async def serve(
    listening: socket.socket,
    home: Path,
    *,
    allow_changes: bool,
    asked: Question,
    opens: bool,
    tell: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM.

    asked: the rules, plans and time zone of its profit and loss.
    opens: whether a browser is started, where there is one; tell: says the address to the person.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    port = listening.getsockname()[1]
    token, session, csrf = (secrets.token_urlsafe(_SECRET_BYTES) for _ in range(3))
    access = Access(token, session, csrf)
    board = Dashboard(
        home, access=access, cookie=f"noburn_dashboard_{port}", allow_changes=allow_changes,
        asked=asked,
    )  # fmt: skip
    # No log, of access or of requests that cannot be read: the token is in an address.
    silent = logging.Logger("noburn.dashboard")
    silent.addHandler(logging.NullHandler())
    runner = web.AppRunner(board.app(), access_log=None, logger=silent, shutdown_timeout=_END_S)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        address = f"http://{HOST}:{port}/?token="
        tell(address + access.token)
        if opens and has_browser(os.environ):
            ticket, own = (secrets.token_urlsafe(_SECRET_BYTES) for _ in range(2))
            access.issue_ticket(ticket, own, now_ms=now_ms())
            # In a thread that nobody waits for: a browser may take as long as it is open.
            threading.Thread(target=webbrowser.open, args=(address + ticket,), daemon=True).start()
        await ended.wait()
    finally:
        await runner.cleanup()
