"""The daemon's settings: flags over the environment over the user's file.

Layer: daemon, I/O.  Below: config_files, core.configuration, core.service_keys.
Above: reloading, __main__.
Owns: which of the three says what.  A project's file says nothing here: one daemon serves them all.
Not here: when one reads again, and what follows from a change (reloading).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from noburn_cli.config_files import read_file, user_path
from noburn_cli.core.configuration import read_value
from noburn_cli.core.service_keys import DAEMON_KEYS, DAEMON_VARIABLES, NEVER, NOTIFY, Channel
from noburn_cli.errors import UsageError


@dataclass(frozen=True)
class DaemonSettings:
    """What holds.  idle_exit_s: infinite for a daemon that stays.  metrics: None serves nothing."""

    durability: str = "process"
    idle_exit_s: float = 600.0
    log_level: str = "info"
    metrics: str | None = None
    notify: tuple[str, ...] = ()
    channels: Mapping[str, Channel] = field(default_factory=dict)


class SettingsSource:
    """Where the settings are read from, as often as one likes.

    environment: with NOBURN_HOME, which decides where the user's file lies.
    flags: texts by dotted key; None was not given.
    """

    def __init__(
        self, environment: Mapping[str, str], flags: Mapping[str, str | None] | None = None
    ) -> None:
        self.path = user_path(environment)
        self._spoken = {
            key: (_plain(key, text), name)
            for key, name in DAEMON_VARIABLES.items()
            if (text := environment.get(name))
        }
        for key, flag in (flags or {}).items():
            if flag is not None:
                name = f"--{key.rpartition('.')[2].replace('_', '-')}"
                self._spoken[key] = (_plain(key, flag), name)

    @property
    def pinned(self) -> dict[str, str]:
        """The keys that flags and variables decide, and which: a file does not change them."""
        return {key: name for key, (_, name) in self._spoken.items()}

    def read(self) -> DaemonSettings:
        """What holds now.  Raises UsageError when the file, a variable or a flag is broken."""
        file = read_file(self.path)
        said = {} if file is None else dict(file.values)
        values = {key: known.default for key, known in DAEMON_KEYS.items()}
        values.update({key: value for key, value in said.items() if key in DAEMON_KEYS})
        for key, (raw, name) in self._spoken.items():
            values[key] = read_value(name, key, raw)
        idle = values["daemon.idle_exit"]
        channels = {
            one.name: one for key, one in said.items() if key.startswith(f"{NOTIFY}.")
        }  # fmt: skip
        self._check_channels(values["daemon.notify"], channels)
        return DaemonSettings(
            durability=values["daemon.durability"],
            idle_exit_s=float("inf") if idle == NEVER else idle,
            log_level=values["daemon.log_level"],
            metrics=values["daemon.metrics"],
            notify=values["daemon.notify"],
            channels=channels,
        )

    def _check_channels(self, names: tuple[str, ...], channels: Mapping[str, Channel]) -> None:
        for name in names:
            if name not in channels:
                known = ", ".join(channels) or "none"
                raise UsageError(
                    f"configuration {self.path}: `daemon.notify`: there is no channel `{name}`",
                    why="what is sent there would reach nobody",
                    next_step=f"add [notify.{name}]; known here: {known}",
                )


def _plain(key: str, text: str) -> Any:
    """A text as the key's reader takes it."""
    if key == "daemon.idle_exit" and text != NEVER:
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    return text
