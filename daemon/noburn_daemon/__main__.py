"""`python -m noburn_daemon --home DIR`: open the ledger, listen, leave when idle or told to.

Layer: daemon, the top.  Below: everything of noburn_daemon, noburn_cli.prices.
Owns: the order of starting and ending.  The process keeps no pipe of its starter open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from noburn_cli import paths, protocol
from noburn_cli.core.service_keys import DURABILITIES, LOG_LEVELS
from noburn_cli.errors import DaemonUnavailable, NoburnError
from noburn_daemon import home, logs
from noburn_daemon.clock import Clock, boot_id, wall_ms
from noburn_daemon.peer import PeerConnection
from noburn_daemon.pricefile import PriceFile
from noburn_daemon.pricing import Pricing
from noburn_daemon.server import Daemon
from noburn_daemon.service import Service
from noburn_daemon.settings import SettingsSource
from noburn_daemon.sqlite import SqliteLedger
from noburn_daemon.supervised import Manager, inherited_socket

_OWN_DESCRIPTORS = 64

_log = logging.getLogger("noburn.daemon")


def main() -> int:
    """Run a daemon until it leaves; the exit code is the error's, 4 when it could not start."""
    options = _parser().parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    os.umask(0o077)  # ledger, log and socket are their owner's alone
    _allow_connections()
    folder = Path(options.home).absolute()
    # The home decides where the user's files lie, also where a flag alone has named it.
    os.environ.setdefault("NOBURN_HOME", str(folder))
    try:
        home.make_private(folder)
        lock = home.take_lock(folder / "daemon.lock")
    except NoburnError as error:
        _tell(error)
        return error.exit_code
    try:
        logs.set_up(folder / "daemon.log")
        return _run(folder, SettingsSource(os.environ, _flags(options)))
    except NoburnError as error:
        _log.error("%s", error.message)
        _tell(error)
        return error.exit_code
    except OSError as error:
        refused = DaemonUnavailable(f"the daemon cannot run in {folder}: {error}")
        _tell(refused)
        return refused.exit_code
    finally:
        os.close(lock)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="noburn-daemon", description=__doc__)
    parser.add_argument(
        "--home", default=str(paths.home()), help="folder of ledger, socket and log"
    )
    parser.add_argument("--durability", choices=DURABILITIES)
    parser.add_argument("--idle-exit", "--idle-exit-s", metavar="SECONDS")
    parser.add_argument("--log-level", choices=LOG_LEVELS)
    parser.add_argument("--metrics", metavar="ADDRESS")
    return parser


def _flags(options: argparse.Namespace) -> dict[str, str | None]:
    return {
        "daemon.durability": options.durability,
        "daemon.idle_exit": options.idle_exit,
        "daemon.log_level": options.log_level,
        "daemon.metrics": options.metrics,
    }


def _allow_connections() -> None:
    """Take as many descriptors as the system lets us: a peer costs one, and a process another.

    Its usual 1,024, and 256 on macOS, are far below the connections that the protocol allows.
    """
    wanted = 2 * protocol.CONNECTIONS_MAX + _OWN_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # then fewer have to do
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _tell(error: NoburnError) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("\n".join(error.lines()) + "\n")


def _run(folder: Path, source: SettingsSource) -> int:
    settings = source.read()
    prices = PriceFile(os.environ)
    book = prices.read()
    path = folder / "daemon.sock"
    service = Service(source, settings, Manager(os.environ))
    ledger = SqliteLedger(
        folder / "ledger.sqlite3", durability=settings.durability, now_ms=wall_ms()
    )
    made = None
    try:
        listener = inherited_socket(path, os.environ)
        if listener is None:
            listener = home.bind(path)
            made = home.hidden_path(path).stat()
        with listener, _runner() as runner:
            pricing = Pricing(book, ledger.book_texts)
            clock = Clock(kept=ledger.meta(), last_ms=ledger.last_ms(), boot=boot_id())
            with contextlib.suppress(NoburnError):  # a full disk is told to callers, not here
                ledger.set_meta(clock.anchor)
            daemon = partial(
                Daemon, ledger=ledger, pricing=pricing, prices=prices, clock=clock,
                idle_exit_s=settings.idle_exit_s, service=service,
                undelivered=paths.journal_folder(folder),
            )  # fmt: skip
            runner.run(_serve(listener, daemon, service, path if made else None))
    finally:
        if made is not None:
            home.take_away(path, made)
            home.take_away(home.hidden_path(path), made)
        ledger.close()
    return 0


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(
    listener: socket.socket, make_daemon: Callable[..., Daemon], service: Service,
    path: Path | None,
) -> None:  # fmt: skip
    """Serve until the daemon is done.  path: where our own socket is to be found."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_failure)
    daemon = make_daemon(loop=loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.drain)
    loop.add_signal_handler(signal.SIGHUP, service.hang_up)
    server = await loop.create_unix_server(
        lambda: PeerConnection(daemon), sock=listener, backlog=home.BACKLOG
    )
    if path is not None:
        home.publish(path)
    # What lives now lives for good; and calls make no cycles: look for those seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    _log.info("listening in %s", Path(listener.getsockname()).parent)
    _leave_starter()
    service.ready()
    await daemon.done
    server.close()
    await asyncio.sleep(0)  # closed connections write their last replies
    _log.info("left")


def _log_failure(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback of ours failed: asyncio's own log goes nowhere."""
    _log.error("%s", context.get("message"), exc_info=context.get("exception"))


def _leave_starter() -> None:
    """Point standard input, output and error at nothing: a starter's pipe must not stay open."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    if nothing > 2:
        os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
