"""What stands around the ledger: settings that are read again, notifications, the service manager.

Layer: daemon, event loop.  Below: reloading, supervised, delivering, notices, logs, commits.
Above: server, __main__.
Owns: what follows from a setting, and the requests about all this.
Not here: anything that decides about a call (server and below).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from noburn_cli import protocol
from noburn_cli.core.plurals import counted
from noburn_cli.errors import LedgerUnavailable, NoburnError
from noburn_daemon import frames, logs
from noburn_daemon.commits import Commits
from noburn_daemon.delivering import Dispatcher
from noburn_daemon.http_endpoint import Answer, Endpoint, health_answer, metrics_answer
from noburn_daemon.metrics import Meter, Moment, page
from noburn_daemon.notices import RECOVERED, TEST, UNAVAILABLE, notices
from noburn_daemon.peer import PeerConnection
from noburn_daemon.reloading import Reloader
from noburn_daemon.replies import Reply, from_error, refusal
from noburn_daemon.settings import DaemonSettings, SettingsSource
from noburn_daemon.sqlite import SqliteLedger
from noburn_daemon.supervised import Manager

if TYPE_CHECKING:
    from noburn_daemon.server import Daemon


#: How long the ledger cannot be written before the daemon's channels hear of it, in seconds: a
#: lock that somebody holds for a moment is no news.
SICK_S = 3.0
_PRUNE_S = 3600.0
_LISTED = "`noburn daemon notify list` shows them"


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
        self._loop = loop
        self._sick_since: float | None = None
        self._told_sick = False
        self._prune_at = 0.0
        self._dispatcher = Dispatcher(
            lambda: ledger.outbox, loop=loop, now_ms=daemon.clock.now_ms,
            can_store=lambda: commits.sick is None, environment=os.environ,
        )  # fmt: skip
        commits.told = self._dispatcher.wake
        self._endpoint = Endpoint(self._answer, ledger.path.parent)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloader = Reloader(self._source, self._held, thread=thread, loop=loop)
        self._reloader.listen(self._apply)

    def handlers(self) -> dict[type, Callable[[PeerConnection, Any, int], Any]]:
        """The requests that are answered here."""
        return {
            frames.Reload: self._reload,
            frames.NotifyList: self._list,
            frames.NotifyTest: self._test,
            frames.NotifyRetry: self._retry,
        }

    @property
    def is_busy(self) -> bool:
        """Whether something is left to do here before an idle daemon may leave."""
        return self._dispatcher.is_busy

    def knowing_channels(
        self, handler: Callable[[PeerConnection, Any, int], Any]
    ) -> Callable[[PeerConnection, Any, int], Any]:
        """A handler that is asked only where every channel that a request names is known."""

        def checked(peer: PeerConnection, frame: Any, now_ms: int) -> Any:
            for step in getattr(frame, "steps", (frame,)):
                for name in getattr(step, "notify", ()):
                    if name not in self._reloader.held.channels:
                        return unknown_channel(frame.n, name, self._reloader.held.channels)
            return handler(peer, frame, now_ms)

        return checked

    def warnings(self) -> list[str]:
        """What a person should know, each a sentence."""
        refused = self._reloader.refused
        warnings = [] if refused is None else [f"settings are as before: {refused.message}"]
        if self._endpoint.refused is not None:
            warnings.append(self._endpoint.refused)
        with contextlib.suppress(LedgerUnavailable):  # which is a warning of its own
            counts = self._ledger.outbox.counts()
            if counts.failing:
                failing = counted(counts.failing, "notification")
                warnings.append(f"after a failure, {failing} to try again; {_LISTED}")
            if counts.given_up:
                warnings.append(f"{counted(counts.given_up, 'notification')} given up; {_LISTED}")
        return warnings

    def status(self) -> dict[str, Any]:
        """What `status` says of all this."""
        held = self._reloader.held
        counts = None
        with contextlib.suppress(LedgerUnavailable):
            counts = asdict(self._ledger.outbox.counts())
        return {
            "settings": str(self._source.path), "log_level": held.log_level,
            "metrics": held.metrics, "channels": sorted(held.channels), "notifications": counts,
            "idle_exit_s": None if held.idle_exit_s == float("inf") else held.idle_exit_s,
        }  # fmt: skip

    def ready(self) -> None:
        """The daemon listens."""
        self._manager.say("READY=1", f"MAINPID={os.getpid()}", "STATUS=the ledger is open")

    def leaving(self) -> None:
        """The daemon drains."""
        self._dispatcher.close()
        self._endpoint.close()
        self._manager.say("STOPPING=1", "STATUS=leaving")

    def tick(self) -> None:
        """The loop turns; a few times each second."""
        self._manager.say_alive()
        self._watch_ledger()
        self._dispatcher.look()
        if self._loop.time() >= self._prune_at and self._commits.sick is None:
            self._prune_at = self._loop.time() + _PRUNE_S
            with contextlib.suppress(LedgerUnavailable):  # it is tried again
                self._ledger.outbox.prune(self._daemon.clock.now_ms())

    def _watch_ledger(self) -> None:
        """Tell that the ledger cannot be written, when it has been so for a moment, and the end."""
        sick, now = self._commits.sick, self._loop.time()
        if sick is None:
            if self._told_sick:
                self._tell(RECOVERED, {"message": "the ledger can be written again"})
            self._sick_since, self._told_sick = None, False
            return
        self._sick_since = now if self._sick_since is None else self._sick_since
        if not self._told_sick and now - self._sick_since >= SICK_S:
            self._told_sick = True
            now_ms = self._daemon.clock.now_ms()
            message = f"no call is let go: {sick}"
            self._dispatcher.say_unstored(
                notices(UNAVAILABLE, now_ms, {"message": message}, self._reloader.held.notify)
            )

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        """Put a message to the daemon's own channels into the outbox."""
        book = self._commits.book
        now_ms = self._daemon.clock.now_ms()
        book.changed.notices += notices(kind, now_ms, data, self._reloader.held.notify)
        self._commits.write_soon()

    def _answer(self, path: str) -> Answer | None:
        """What is served under a path."""
        daemon, commits = self._daemon, self._commits
        if path == "/healthz":  # the loop turns: it answers
            return health_answer(None)
        if path == "/readyz":
            return health_answer("the daemon is leaving" if daemon.is_draining else commits.sick)
        if path != "/metrics" or commits.meter is None:
            return None
        moment = Moment(
            commits.book, self._ledger, commits.meter, sick=commits.sick is not None,
            draining=daemon.is_draining, connections=len(daemon.peers),
            jump_ms=daemon.clock.jump_ms(),
        )  # fmt: skip
        return metrics_answer(page(moment))

    def _list(self, _peer: PeerConnection, frame: frames.NotifyList, _now_ms: int) -> Reply:
        outbox = self._ledger.outbox
        channels = [
            {"name": one.name, "target": one.target}
            for one in self._reloader.held.channels.values()
        ]  # fmt: skip
        return {
            "n": frame.n, "ok": True, "channels": channels, "counts": asdict(outbox.counts()),
            "messages": outbox.listed(frame.limit),
        }  # fmt: skip

    def _test(self, _peer: PeerConnection, frame: frames.NotifyTest, now_ms: int) -> Reply:
        channels = self._reloader.held.channels
        if frame.channel not in channels:
            return unknown_channel(frame.n, frame.channel, channels)
        data = {"message": "a test of the channel, by `noburn daemon notify test`"}
        made = notices(TEST, now_ms, data, (frame.channel,))
        self._commits.book.changed.notices += made
        self._commits.force_snapshot = True
        self._dispatcher.try_anew()
        return {"n": frame.n, "ok": True, "key": made[0].key, "channel": frame.channel}

    def _retry(self, _peer: PeerConnection, frame: frames.NotifyRetry, now_ms: int) -> Reply:
        channels = self._reloader.held.channels
        for name in frame.channels:
            if name not in channels:
                return unknown_channel(frame.n, name, channels)
        count = self._ledger.outbox.try_anew(now_ms, frame.channels)
        self._dispatcher.count_anew(frame.channels)
        return {"n": frame.n, "ok": True, "retried": count}

    def hang_up(self) -> None:
        """SIGHUP: read the settings again."""
        self._manager.say_reloading()
        self._reloader.reload(self._reloaded)

    def _reload(self, peer: PeerConnection, frame: frames.Reload, _now_ms: int) -> None:
        self._manager.say_reloading()

        def answer(outcome: dict[str, Any]) -> None:
            self._reloaded(outcome)
            refused: NoburnError | None = outcome.pop("refused")
            if refused is not None:
                self._commits.reply(peer, from_error(frame.n, protocol.CONFIGURATION, refused))
                return

            def served(_moving: object) -> None:
                warning = self._endpoint.refused
                reply = {**outcome, "warnings": [] if warning is None else [warning]}
                self._commits.reply(peer, {"n": frame.n, "ok": True, **reply})

            self._serve_metrics(self._reloader.held).add_done_callback(served)

        self._reloader.reload(answer)

    def _reloaded(self, _outcome: dict[str, Any]) -> None:
        self._manager.say("READY=1")

    def _serve_metrics(self, settings: DaemonSettings) -> asyncio.Task[None]:
        """Serve them where the settings say, which is tried again where it failed before."""
        moving = self._loop.create_task(self._endpoint.move(settings.metrics))
        self._tasks.add(moving)
        moving.add_done_callback(self._tasks.discard)
        return moving

    def _apply(self, settings: DaemonSettings) -> None:
        logs.set_level(settings.log_level)
        self._daemon.idle_exit_s = settings.idle_exit_s
        self._dispatcher.use(settings.channels)
        self._commits.operators = settings.notify
        if settings.metrics is not None and self._commits.meter is None:
            self._commits.meter = Meter()
        self._serve_metrics(settings)
        try:
            self._ledger.set_durability(settings.durability)
        except LedgerUnavailable as error:
            self._commits.fall_sick(error)


def unknown_channel(n: int, name: str, channels: Collection[str]) -> Reply:
    """The refusal of a channel that the configuration does not have."""
    return refusal(
        n, protocol.NOT_FOUND, f"there is no channel `{name}`",
        why=f"the configuration has {', '.join(channels) or 'none'}",
        next_step=f"add [notify.{name}] to your noburn.toml, then `noburn daemon reload`",
    )  # fmt: skip
