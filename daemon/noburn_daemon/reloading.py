"""The daemon's settings while it runs: read again when asked, taken whole or not at all.

Layer: daemon, event loop.  Below: settings.  Above: server.
Owns: what holds now, and why the file as it is now does not.
Not here: what a setting means (settings), what follows from one (whoever `listen`s).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import fields
from typing import Any

from noburn_cli.errors import NoburnError
from noburn_daemon.settings import DaemonSettings, SettingsSource

_log = logging.getLogger("noburn.settings")

#: Takes the settings that hold from now on.
Listener = Callable[[DaemonSettings], object]


class Reloader:
    """Keeps the settings, and tells who listens of changes.

    thread: reads the file.
    """

    def __init__(
        self, source: SettingsSource, held: DaemonSettings, *, thread: Executor,
        loop: asyncio.AbstractEventLoop,
    ) -> None:  # fmt: skip
        self._source = source
        self.held = held
        self._thread = thread
        self._loop = loop
        self._listeners: list[Listener] = []
        #: Why the file as it is now does not hold, or None.
        self.refused: NoburnError | None = None

    def listen(self, listener: Listener) -> None:
        """Call `listener` now and after each change; it must not raise."""
        self._listeners.append(listener)
        listener(self.held)

    def reload(self, then: Callable[[dict[str, Any]], object] = lambda _outcome: None) -> None:
        """Read the file in the thread, take what it says, then tell what came of it.

        The outcome has `changed` and `pinned` (by dotted key), and `refused`, an error or None.
        """

        def done(reading: asyncio.Future[DaemonSettings]) -> None:
            if not reading.cancelled():
                then(self._take(reading))

        self._loop.run_in_executor(self._thread, self._source.read).add_done_callback(done)

    def _take(self, reading: asyncio.Future[DaemonSettings]) -> dict[str, Any]:
        try:
            found = reading.result()
        except NoburnError as error:
            self.refused = error
            _log.warning("settings are as before: %s", error.message)
            return {"changed": [], "pinned": {}, "refused": error}
        self.refused = None
        changed = _changed(self.held, found)
        self.held = found
        _log.info("settings were read: %s", ", ".join(changed) or "nothing has changed")
        for listener in self._listeners if changed else ():
            listener(found)
        return {"changed": changed, "pinned": self._source.pinned, "refused": None}


def _changed(before: DaemonSettings, after: DaemonSettings) -> list[str]:
    """The keys that hold another value now."""
    names = {"idle_exit_s": "idle_exit"}
    changed = [
        f"daemon.{names.get(field.name, field.name)}"
        for field in fields(after)
        if field.name != "channels" and getattr(before, field.name) != getattr(after, field.name)
    ]
    channels = {*before.channels, *after.channels}
    changed.extend(
        f"notify.{name}"
        for name in sorted(channels)
        if before.channels.get(name) != after.channels.get(name)
    )
    return changed
