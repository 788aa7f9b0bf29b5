"""One run that is recorded: what its processes are told, and what is written when it has ended.

Layer: I/O, our side.  Below: facts, making, places.  Above: commands.run.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from noburn_cli.core.budgets import TAG_PREFIX
from noburn_cli.core.money import show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.core.recorded_files import format_recording
from noburn_cli.core.recorded_runs import TEST, Recording
from noburn_cli.enforce.test_names import FOLDER, TAG
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.prices import load_book
from noburn_cli.recording.facts import Facts, read_facts
from noburn_cli.recording.making import make_recording
from noburn_cli.recording.places import (
    check_recording_name,
    leave_alone,
    project_root,
    recording_path,
    write_whole,
)


class RecordedRun:
    """Made before the run; `finish` after its end; `close` always.

    name: of the recording.  attributes: those of the run, which may not name a test themselves.
    Raises UsageError, and NoburnError when there is no place for what pytest tells.
    """

    def __init__(
        self, name: str, *, folder: Path, environment: Mapping[str, str],
        attributes: Mapping[str, str],
    ) -> None:  # fmt: skip
        if TAG_PREFIX + TAG in attributes:
            raise UsageError(
                f"a recorded run cannot have the tag `{TAG}`",
                why="its calls have the name of their test there",
                next_step="take --tag test=… (or NOBURN_TAGS) away, or record without it",
            )
        self._name = check_recording_name(name)
        self._root = project_root(folder, environment)
        self.path = recording_path(self._root, name)
        leave_alone(self.path.parent)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="noburn-tests-"))
        except OSError as error:
            raise NoburnError(
                "nothing can be recorded: no temporary folder can be made",
                why=error.strerror or str(error),
                next_step="look whether TMPDIR names a folder that may be written to",
            ) from error

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """What the run's processes are told, besides everything else."""
        return {**base, FOLDER: str(self._folder)}

    def finish(self, ledger: Path, run: str) -> list[str]:
        """Write the recording of a run that has ended; what to say of it.  Raises NoburnError."""
        facts = read_facts(self._folder)
        book = load_book(os.environ)
        recording = make_recording(ledger, run, facts, book, name=self._name, replayed=False)
        write_whole(self.path, format_recording(recording))
        return _said(recording, facts, self.path)

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _said(recording: Recording, facts: Facts, path: Path) -> list[str]:
    tests = [test for test in recording.tests.values() if test.kind == TEST]
    callers = sum(not test.silent for test in tests)
    said = (
        f"noburn: recording {recording.name}: {counted(len(tests), 'test')}, {callers} with calls, "
        f"{counted(recording.calls, 'call')}, {show_dollars(recording.cost_nano)}, in {path}"
    )
    lines = [said]
    if not facts.seen:
        lines.append("        no pytest told of its tests: every call is recorded outside of them")
    return lines
