"""The gateway's own process: `python -m noburn_cli.enforce.gateway --fd N`.

Layer: enforce, our own side.  Below: server.  Above: hosted (of a run), commands.gateway.
Owns: the event loop, and how it ends: the pipe on standard input is its starter's life.

Its environment is the run's, with the base-URL variables as they were before; it has no real key.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from noburn_cli.enforce.gateway.server import Gateway

#: How long streams may take to end by themselves when the run is over, in seconds: a client that
#: has gone is noticed at once, and what it left is told.
GRACE_S = 1.0
#: The same for answers that are read on in the background for their usage (`on_abort = "drain"`).
DRAIN_S = 60.0
_FIELD_BYTES_MAX = 64 * 1024
_LOOK_S = 0.02


async def serve(
    listening: socket.socket, gateway: Gateway, ended: asyncio.Event, *, grace_s: float,
    at_once: asyncio.Event | None = None,
) -> None:  # fmt: skip
    """Answer on a listening socket until `ended`, then let requests in flight end.

    grace_s: how long they may take; what is left then is cut off, and its outcome told.
    at_once: set, nothing is waited for any more.
    """
    server = web.Server(
        gateway.handle,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        max_line_size=_FIELD_BYTES_MAX,
        max_field_size=_FIELD_BYTES_MAX,
    )
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(server, sock=listening, backlog=1024)
    await ended.wait()
    listener.close()
    until = loop.time() + grace_s
    hurry = at_once or asyncio.Event()
    while gateway.in_flight and loop.time() < until and not hurry.is_set():
        await asyncio.sleep(_LOOK_S)
    await server.shutdown(timeout=GRACE_S)
    await gateway.close(within_s=DRAIN_S)


async def _serve_run(listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    # Its starter holds the other end, writes nothing, and leaves or dies: end of file.
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    watching = loop.create_task(reader.read(1))
    watching.add_done_callback(lambda _: ended.set())
    await serve(listening, Gateway(run=os.environ.get("NOBURN_RUN", "")), ended, grace_s=GRACE_S)


def _say_present() -> None:
    """An outer run sees this process, and is not to take it for one without a guard."""
    folder = os.environ.get("NOBURN_PRESENCE")
    if folder:
        with contextlib.suppress(OSError):
            (Path(folder) / str(os.getpid())).touch()


def main() -> int:
    """Serve on the socket with the number `--fd` until standard input ends."""
    parser = argparse.ArgumentParser(description="The gateway of one run.")
    parser.add_argument("--fd", type=int, required=True)
    listening = socket.socket(fileno=parser.parse_args().fd)
    listening.setblocking(False)
    # The thread that started us has all signals blocked.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # The keyboard speaks to the run's command, and a hang-up to the supervisor.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    _say_present()
    uvloop.run(_serve_run(listening))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
