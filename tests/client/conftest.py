from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from noburn_cli.client import retry, sync
from tests.client.peer import Peer, new_home, remove


@pytest.fixture
def home() -> Iterator[Path]:
    folder = new_home()
    yield folder
    remove(folder)


@pytest.fixture
def peer(home: Path) -> Iterator[Peer]:
    running = Peer(home)
    yield running
    running.close()


class Haste:
    """How long answers are waited for: hardly, and as long as it takes after `end`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        patch.setattr(sync, "GIVE_UP_S", 60.0)  # A void that is given up is answered.
        self.begin()

    def begin(self) -> None:
        self._set(reply_s=0.3, patience_s=0.6)

    def end(self) -> None:
        self._set(reply_s=60.0, patience_s=120.0)

    def _set(self, *, reply_s: float, patience_s: float) -> None:
        self._patch.setattr(retry, "REPLY_S", reply_s)
        self._patch.setattr(retry, "PATIENCE_S", patience_s)


@pytest.fixture
def haste(monkeypatch: pytest.MonkeyPatch) -> Haste:
    """Nobody waits seconds for what a test makes never come."""
    return Haste(monkeypatch)
