"""Recordings against the project's baseline: reading both, and writing the baseline anew.

Layer: I/O, our side.  Below: core.recorded_*, places.  Above: commands.gate.
Not here: what is dearer (core.recorded_comparison), how it is said (core.recorded_findings).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noburn_cli.core.gate_tables import RecordingSpec
from noburn_cli.core.recorded_comparison import RecordingResult, compare, updated
from noburn_cli.core.recorded_files import format_baseline, parse_baseline, parse_recording
from noburn_cli.core.recorded_runs import Recording, Tolerance, file_of, merged
from noburn_cli.errors import UsageError
from noburn_cli.recording.places import check_recording_name, recording_path, write_whole


def judge(names: Sequence[str], spec: RecordingSpec, root: Path) -> RecordingResult:
    """Compare the recordings of these names, as one run, with the baseline.

    root: the project's folder.  Raises UsageError for a recording that is not there, one of the
    files that cannot be read, and a test that two recordings ran.
    """
    recording = _read_all(names, root)
    baseline = read_baseline(spec, root)
    tests = {} if baseline is None else baseline.tests
    missing = {file for file in map(file_of, tests) if not (root / file).exists()}
    if not any((root / file).exists() for file in recording.collected_files()):
        missing = set()  # pytest's root is another folder, by which its tests are named.
    return compare(
        baseline,
        recording,
        tolerance_of(spec),
        label=None if baseline is None else spec.baseline,
        missing_files=missing,
    )


def update_baseline(result: RecordingResult, spec: RecordingSpec, root: Path) -> bool:
    """Write what `judge` found as the new baseline; whether that changed the file.

    Raises UsageError for a baseline that cannot be read, NoburnError for one that can't be written.
    """
    path = root / spec.baseline
    text = format_baseline(updated(read_baseline(spec, root), result))
    before = path.read_text("utf-8") if path.exists() else None
    if text == before:
        return False
    write_whole(path, text)
    return True


def tolerance_of(spec: RecordingSpec) -> Tolerance:
    return Tolerance(
        share=spec.tolerance,
        calls=spec.calls_floor,
        tokens=spec.tokens_floor,
        cost_nano=spec.cost_floor,
        new_max_nano=spec.new_test_max,
    )


def read_baseline(spec: RecordingSpec, root: Path) -> Recording | None:
    """The committed baseline, None where there is none yet.  Raises UsageError."""
    text = _read(root / spec.baseline)
    return None if text is None else parse_baseline(text, origin=spec.baseline)


def _read_all(names: Sequence[str], root: Path) -> Recording:
    found = []
    for name in dict.fromkeys(names):
        path = recording_path(root, check_recording_name(name))
        text = _read(path)
        if text is None:
            raise UsageError(
                f"there is no recording {name!r}",
                why=f"{path} does not exist",
                next_step=f"make it: noburn run --recording {name} -- pytest",
            )
        found.append(parse_recording(text, origin=str(path)))
    try:
        return merged(found)
    except ValueError as error:
        raise UsageError(
            f"the recordings {', '.join(names)} are no shards of one run",
            why=f"{error} ran in two of them",
            next_step="compare them one by one, or record each test in one shard only",
        ) from error


def _read(path: Path) -> str | None:
    """The text of a file, None where there is none.  Raises UsageError."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read",
            why=str(error),
            next_step="look whether it is a file of UTF-8 text that you may read",
        ) from error
