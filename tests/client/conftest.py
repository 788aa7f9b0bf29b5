from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from noburn_cli.client import retry
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


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits seconds for what a test makes never come."""
    monkeypatch.setattr(retry, "REPLY_S", 0.3)
    monkeypatch.setattr(retry, "PATIENCE_S", 0.6)
