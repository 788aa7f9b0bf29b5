"""Files that commands are told to write: whole or not at all, and nothing else loses its place."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest

from noburn_cli.charts.pictures import check_path
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.whole_files import appearing, replace_text


def test_what_is_no_file_keeps_its_place(tmp_path: Path) -> None:
    """Goal: `--output /dev/null` (as root) or a pipe is refused, and is afterwards what it was."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for target in (Path(os.devnull), pipe, link, tmp_path):
        with pytest.raises(UsageError, match="no regular file"), appearing(target):
            raise AssertionError("it must not come to writing")
    picture = tmp_path / "curve.svg"
    os.mkfifo(picture)
    with pytest.raises(UsageError):
        check_path(picture)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_a_file_of_ours_that_finds_no_room_leaves_the_old_one_and_nothing_beside(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "trust.json"
    replace_text(kept, "before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            replace_text(kept, "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["trust.json"]
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("before", 0o600)


def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("before")
    link.symlink_to(file)

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(NoburnError, match="cannot be written"), appearing(link) as part:
        fail(part)
    assert file.read_text() == "before"
    with appearing(link) as part:
        part.write_text("after")
    assert (file.read_text(), link.is_symlink()) == ("after", True)
    assert sorted(tmp_path.iterdir()) == [file, link]
    with (
        pytest.raises(NoburnError, match="cannot be written"),
        appearing(file / "below a file") as part,
    ):
        part.write_text("nowhere")
