"""What stands around the ledger: settings that are read again, the service manager.

Layer: daemon, event loop.  Below: reloading, supervised, logs, commits.  Above: server, __main__.
Owns: what follows from a setting, and the requests about all this.
Not here: anything that decides about a call (server and below).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from noburn_cli import protocol
from noburn_cli.errors import LedgerUnavailable, NoburnError
from noburn_daemon import frames, logs
from noburn_daemon.commits import Commits
from noburn_daemon.peer import PeerConnection
from noburn_daemon.reloading import Reloader
from noburn_daemon.replies import Reply, from_error
from noburn_daemon.settings import DaemonSettings, SettingsSource
from noburn_daemon.sqlite import SqliteLedger
from noburn_daemon.supervised import Manager

if TYPE_CHECKING:
    from noburn_daemon.server import Daemon


class Service:
    """Holds the settings, and applies them to the daemon's parts."""

    def __init__(self, source: SettingsSource, held: DaemonSettings, manager: Manager) -> None:
        self._source = source
        self._held = held
        self._manager = manager

    def attach(
        self, daemon: Daemon, *, ledger: SqliteLedger, commits: Commits, thread: Executor,
        loop: asyncio.AbstractEventLoop,
    ) -> None:  # fmt: skip
        """Take the settings to the daemon's parts, now and after each change."""
        self._daemon = daemon
        self._ledger = ledger
        self._commits = commits
        self._reloader = Reloader(self._source, self._held, thread=thread, loop=loop)
        self._reloader.listen(self._apply)

    def handlers(self) -> dict[type, Callable[[PeerConnection, Any, int], Any]]:
        """The requests that are answered here."""
        return {frames.Reload: self._reload}

    def warnings(self) -> list[str]:
        """What a person should know, each a sentence."""
        refused = self._reloader.refused
        return [] if refused is None else [f"settings are as before: {refused.message}"]

    def ready(self) -> None:
        """The daemon listens."""
        self._manager.say("READY=1", f"MAINPID={os.getpid()}", "STATUS=the ledger is open")

    def leaving(self) -> None:
        """The daemon drains."""
        self._manager.say("STOPPING=1", "STATUS=leaving")

    def tick(self) -> None:
        """The loop turns; a few times each second."""
        self._manager.say_alive()

    def hang_up(self) -> None:
        """SIGHUP: read the settings again."""
        self._manager.say_reloading()
        self._reloader.reload(self._reloaded)

    def _reload(self, peer: PeerConnection, frame: frames.Reload, _now_ms: int) -> None:
        self._manager.say_reloading()

        def answer(outcome: dict[str, Any]) -> None:
            self._reloaded(outcome)
            refused: NoburnError | None = outcome.pop("refused")
            reply: Reply = {"n": frame.n, "ok": True, **outcome}
            if refused is not None:
                reply = from_error(frame.n, protocol.CONFIGURATION, refused)
            self._commits.reply(peer, reply)

        self._reloader.reload(answer)

    def _reloaded(self, _outcome: dict[str, Any]) -> None:
        self._manager.say("READY=1")

    def _apply(self, settings: DaemonSettings) -> None:
        logs.set_level(settings.log_level)
        self._daemon.idle_exit_s = settings.idle_exit_s
        try:
            self._ledger.set_durability(settings.durability)
        except LedgerUnavailable as error:
            self._commits.fall_sick(error)
