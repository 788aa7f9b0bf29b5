"""From nothing to a connection that may be used: connect, start the daemon, hello, replay.

Layer: client.  Below: connection, starting, journal.  Above: sync client and channel.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

from noburn_cli import paths, protocol
from noburn_cli.client import journal
from noburn_cli.client.connection import Connection, connect
from noburn_cli.client.retry import REPLY_S, Lost, check_hello
from noburn_cli.client.starting import ensure_daemon
from noburn_cli.errors import DaemonUnavailable
from noburn_cli.version import __version__

_HELLO = {"op": protocol.HELLO, "v": protocol.VERSION, "client": f"noburn-cli/{__version__}"}


class Opener:
    """Opens connections to the daemon of one home folder."""

    def __init__(self, home: Path, *, start_daemon: bool) -> None:
        self.home = home
        self.journal = paths.journal_folder(home)
        self._start_daemon = start_daemon

    def open(self) -> Connection:
        """A greeted connection; what earlier clients could not deliver was sent over it.

        Raises Lost or Late when that may be tried again, DaemonUnavailable, and FrameRefused for
        another protocol version.
        """
        connection = self.open_quickly(within_s=REPLY_S, start_daemon=self._start_daemon)
        try:
            journal.replay(self.journal, connection)
        except OSError:
            pass  # A journal that cannot be read keeps what it has; the money in it stays held.
        except BaseException:
            connection.close()
            raise
        return connection

    def open_quickly(self, *, within_s: float, start_daemon: bool = False) -> Connection:
        """A greeted connection and nothing else.  Raises like `open`."""
        deadline = time.monotonic() + within_s
        connection = Connection(self._connect(deadline, start_daemon))
        try:
            check_hello(connection.exchange(_HELLO, deadline=deadline))
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, deadline: float, start_daemon: bool) -> socket.socket:
        path = str(paths.socket_path(self.home))
        try:
            return self._connect_to(path, deadline)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if not start_daemon:
                raise DaemonUnavailable(
                    "the noburn daemon is not running",
                    why=f"nobody listens on {path}",
                    next_step="run `noburn daemon start`",
                ) from error
        ensure_daemon(self.home)
        try:
            return self._connect_to(path, max(deadline, time.monotonic() + 1))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise Lost("the daemon came up and went away again") from error

    @staticmethod
    def _connect_to(path: str, deadline: float) -> socket.socket:
        try:
            return connect(path, deadline=deadline)
        except (FileNotFoundError, ConnectionRefusedError):
            raise
        except OSError as error:
            raise DaemonUnavailable(
                "the daemon's socket cannot be used",
                why=f"{path}: {error}",
                next_step="set NOBURN_HOME to a shorter path, in a folder of yours",
            ) from error
