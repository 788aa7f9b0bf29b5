from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate.repository import Repo, environment, prices


@pytest.fixture
def repo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Repo:
    """An empty repository with our price file in it, and the working folder there."""
    for name, value in environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    for name in ("NOBURN_PRICES", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "repository"
    path.mkdir()
    found = Repo(path, capsys)
    found.git("init", "-q")
    found.write({"prices.toml": prices()})
    monkeypatch.chdir(path)
    return found
