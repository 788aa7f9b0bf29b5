"""One run that is recorded: what its processes are told, and what is written when it has ended.

Layer: I/O, our side.  Below: facts, making, places.  Above: commands.run.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from noburn_cli.core.money import show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.core.recorded_files import format_recording
from noburn_cli.core.recorded_runs import PASSED, TEST, Recording, file_of
from noburn_cli.core.recorded_tags import TEST as TAG
from noburn_cli.core.recorded_tags import TEST_TAG
from noburn_cli.enforce.answer_keys import long_ones
from noburn_cli.enforce.answers import KEEP, PLAY, VARIABLE
from noburn_cli.enforce.dotenv_keys import find_keys
from noburn_cli.enforce.test_names import FOLDER, is_one_test
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.prices import load_book
from noburn_cli.providers.credentials import KEY_VARIABLES
from noburn_cli.recording import cassettes
from noburn_cli.recording.facts import Facts, read_facts
from noburn_cli.recording.making import make_recording
from noburn_cli.recording.places import (
    answers_folder,
    check_recording_name,
    leave_alone,
    project_root,
    recording_path,
    write_whole,
)
from noburn_cli.recording.spool import read_spool

#: What a program finds in the place of a key that nobody needs.
NO_KEY = "sk-played-answers-need-no-key"


class RecordedRun:
    """Made before the run; `finish` after its end; `close` always.

    name: of the recording.  attributes: those of the run, which may not name a test themselves.
    answers: enforce.answers.KEEP, PLAY, or None to do neither.
    Raises UsageError, and NoburnError when there is no place for what pytest tells, no vcrpy for
    answers, or none recorded that could be played.
    """

    def __init__(
        self, name: str, *, folder: Path, environment: Mapping[str, str],
        attributes: Mapping[str, str], answers: str | None = None,
    ) -> None:  # fmt: skip
        if TEST_TAG in attributes:
            raise UsageError(
                f"a recorded run cannot have the tag `{TAG}`",
                why="its calls have the name of their test there",
                next_step=f"take --tag {TAG}=… (or NOBURN_TAGS) away, or record without it",
            )
        self._name = check_recording_name(name)
        self._root = project_root(folder, environment)
        self.path = recording_path(self._root, name)
        self._answers = None if answers is None else Answers(answers, self._root, name)
        self._left_there = False
        leave_alone(self.path.parent)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="noburn-tests-"))
            if self._answers is not None:
                self._answers.prepare(self._folder)
        except OSError as error:
            raise NoburnError(
                "nothing can be recorded: no temporary folder can be made",
                why=error.strerror or str(error),
                next_step="look whether TMPDIR names a folder that may be written to",
            ) from error

    def environment(self, base: Mapping[str, str], command: Sequence[str]) -> dict[str, str]:
        """What the run's processes are told, besides everything else."""
        # A run inside of one whose answers are played sends nothing either.
        told = {**base, FOLDER: str(self._folder)}
        return told if self._answers is None else self._answers.environment(told, command)

    def finish(self, ledger: Path, run: str) -> list[str]:
        """Write the recording of a run that has ended; what to say of it.

        Raises NoburnError; answers that were to be kept are then left where it says.
        """
        keeps = self._answers is not None and self._answers.mode == KEEP
        self._left_there = keeps  # Whatever goes wrong: they were paid for.
        try:
            lines = self._finished(ledger, run)
        except NoburnError as error:
            if keeps:
                left = f"what was answered is left in {self._folder}"
                error.next_step = f"{error.next_step}; {left}" if error.next_step else left
            raise
        self._left_there = False
        return lines

    def _finished(self, ledger: Path, run: str) -> list[str]:
        facts = read_facts(self._folder)
        book = load_book(os.environ)
        played = self._answers is not None and self._answers.mode == PLAY
        recording = make_recording(ledger, run, facts, book, name=self._name, replayed=played)
        write_whole(self.path, format_recording(recording))
        lines = _said(recording, facts, self.path)
        if self._answers is None:
            return lines
        return [*lines, *self._answers.finish(facts, recording)]

    def close(self) -> None:
        if not self._left_there:
            shutil.rmtree(self._folder, ignore_errors=True)


class Answers:
    """The answers of one recorded run, kept or played.

    Raises NoburnError: no vcrpy, or nothing to play.
    """

    def __init__(self, mode: str, root: Path, name: str) -> None:
        self.mode = mode
        self._root = root
        self._place = answers_folder(root, name)
        cassettes.vcr_parts()
        # Where they are kept again too: better found unreadable now than after the run was paid.
        found = cassettes.load(self._place)
        if (self._place / cassettes.INDEX).exists():
            cassettes.keys_of(self._place)
        self._kept = found if mode == PLAY else []
        self._keys = cassettes.keys_of(self._place) if mode == PLAY else ()
        self._secrets: tuple[bytes, ...] = ()
        self._folder = Path()

    def prepare(self, folder: Path) -> None:
        """Raises OSError."""
        self._folder = folder / "answers"
        self._folder.mkdir()
        cassettes.lay_out(self._folder, self._kept)

    def environment(self, base: Mapping[str, str], command: Sequence[str]) -> dict[str, str]:
        """Where answers lie; and where nothing is sent, something that looks like a key."""
        told = {**base, VARIABLE: f"{self.mode}:{self._folder}"}
        if self.mode == PLAY:
            return {**dict.fromkeys(self._keys, NO_KEY), **told}
        found = find_keys(command, Path.cwd(), base)
        self._keys = tuple(name for name in KEY_VARIABLES if base.get(name) or found.get(name))
        self._secrets = long_ones(
            held.get(name, "") for held in (base, found) for name in self._keys
        )
        return told

    def finish(self, facts: Facts, recording: Recording) -> list[str]:
        """Keep what was answered; what to say of it.  Raises NoburnError."""
        if self.mode == PLAY:
            return []
        collected = {*facts.outcomes, *facts.left_out}
        files = set(map(file_of, collected))

        def gone(test: str) -> bool:
            return is_one_test(test) and test not in collected and file_of(test) in files

        news = read_spool(self._folder, self._secrets)
        tests = recording.tests.values()
        quiet = {test.name for test in tests if test.silent and test.outcome == PASSED}
        saved = cassettes.save(self._place, news, quiet=quiet, gone=gone, keys=self._keys)
        said = f"        {counted(len(news), 'answer')} kept, {saved.answers:,} in {self._place}: "
        lines = [said + "they hold prompts and answers, and no provider's key"]
        if saved.dropped:
            lines.append(f"        {counted(saved.dropped, 'earlier answer')} replaced or gone")
        if saved.spared:
            told = f"{counted(len(saved.spared), 'test')} got failures only"
            more = ", …" if len(saved.spared) > 1 else ""
            told += f", and kept what was answered before: {saved.spared[0]}{more}"
            lines.append(f"        {told}")
        return lines


def _said(recording: Recording, facts: Facts, path: Path) -> list[str]:
    tests = [test for test in recording.tests.values() if test.kind == TEST]
    callers = sum(not test.silent for test in tests)
    said = (
        f"noburn: recording {recording.name}: {counted(len(tests), 'test')}, {callers} with calls, "
        f"{counted(recording.calls, 'call')}, {show_dollars(recording.cost_nano)}, in {path}"
    )
    if facts.seen:
        return [said]
    return [said, "        no pytest told of its tests: every call is recorded outside of them"]
