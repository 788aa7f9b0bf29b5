"""What stands around the ledger: settings that are read again, and messages on their way."""

from __future__ import annotations

import contextlib
import random
import types
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from noburn_cli.core.service_keys import Channel
from noburn_cli.errors import UsageError
from noburn_daemon import delivering
from noburn_daemon.notices import UNAVAILABLE, Outcome
from noburn_daemon.settings import DaemonSettings
from tests.simulation.oracle import Wrong

if TYPE_CHECKING:
    from tests.simulation.world import World

CHANNELS = ("ops", "page")


class SimulatedSettings:
    """noburn_daemon.settings.SettingsSource: a file that somebody changes now and then."""

    def __init__(self, durability: str, chance: random.Random) -> None:
        self.path = Path("noburn.toml")
        self.pinned: dict[str, str] = {}
        self._chance = chance
        self._is_broken = False
        #: Whether each commit was to last, from the beginning on.
        self.was_always_power = durability == "power"
        self.now = DaemonSettings(durability=durability, notify=("ops",), channels=_channels())

    def read(self) -> DaemonSettings:
        if self._is_broken:
            raise UsageError("the configuration is broken")
        return self.now

    def change(self) -> None:
        """Somebody edits the file, and may break it."""
        chance = self._chance
        self._is_broken = chance.random() < 0.15
        names = chance.choice((CHANNELS, CHANNELS, ("ops",), ()))
        self.now = DaemonSettings(
            durability=chance.choice((self.now.durability, "process", "power")),
            notify=tuple(name for name in names if chance.random() < 0.7),
            channels=_channels(*names),
        )
        self.was_always_power &= self.now.durability == "power"

    def repair(self) -> None:
        """What was broken is seen and mended."""
        self._is_broken = False

    def mend(self) -> None:
        """Every channel is there again."""
        self.repair()
        self.now = replace(self.now, channels=_channels())


def _channels(*names: str) -> dict[str, Channel]:
    return {name: Channel(name, command=(f"tell-{name}",)) for name in names or CHANNELS}


class Receivers:
    """Where messages go: some receivers are late, refuse, or want nothing more."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._is_mended = False
        self._fails = chance.choice((0.0, 0.2, 0.7))
        #: How often each message was taken.
        self.taken: Counter[str] = Counter()

    def mend(self) -> None:
        self._is_mended = True

    def deliver(self, channel: Channel, key: str, body: bytes, _environment: Any) -> Outcome:
        """noburn_daemon.webhook.post and hook_command.Commands.run: one attempt."""
        world, chance = self._world, self._chance
        if not self._is_mended and chance.random() < self._fails:
            gone = chance.random() < 0.1
            return Outcome("not now", chance.choice((0, 0, 20_000)), gone)
        if not body:
            world.note_wrong(Wrong(f"message {key} is delivered without its text"))
        if f'"{UNAVAILABLE}"'.encode() not in body and not world.checks.is_in_outbox(key):
            world.note_wrong(Wrong(f"message {key} is delivered, and is not on disk"))
        world.trace(f"{channel.name} takes {key}")
        self.taken[key] += 1
        return Outcome()

    @contextlib.contextmanager
    def standing_in(self) -> Iterator[None]:
        """Deliveries are the simulation's, threads and all."""
        world, chance = self._world, self._chance

        class Attempt:
            """A thread: what it does is one step at some moment, unless its process has died."""

            def __init__(self, *, target: Any, args: Any, **_options: Any) -> None:
                self._run = lambda: target(*args)

            def start(self) -> None:
                loop = world.loop
                world.timeline.after(
                    chance.choice((100, 50_000, 2_000_000)),
                    lambda: None if loop is None or loop.is_dead else self._run(),
                )

        commands = types.SimpleNamespace(run=self.deliver, close=lambda: None)
        with (
            mock.patch.object(delivering, "threading", types.SimpleNamespace(Thread=Attempt)),
            mock.patch.object(delivering, "random", random.Random(f"{world.seed} jitter")),
            mock.patch.object(delivering, "Commands", return_value=commands),
        ):
            yield
