"""`noburn run --recording`: what is made before the run, and written after it.

Layer: commands.  Below: recording.session.  Above: commands.run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.recording.session import RecordedRun


class AnswersMode(StrEnum):
    """What is done with the providers' answers; the words of enforce.answers."""

    keep = "keep"
    play = "play"


@contextlib.contextmanager
def recorded_run(
    name: str | None,
    answers: AnswersMode | None,
    attributes: Mapping[str, str],
    *,
    strict: bool,
) -> Iterator[RecordedRun | None]:
    """What records a run with these attributes, if it is to be.  Raises NoburnError."""
    if name is None:
        if answers is not None:
            raise UsageError(
                "answers are kept and played under a name",
                next_step=f"name the recording: --recording agents --answers {answers}",
            )
        yield None
        return
    if strict:
        raise UsageError(
            "a strict run cannot be recorded",
            why="what is enclosed calls by the gateway, which does not see in which test",
            next_step="leave --strict or --recording out",
        )
    from noburn_cli.recording.session import RecordedRun

    recorded = RecordedRun(
        name,
        folder=Path.cwd(),
        environment=os.environ,
        attributes=attributes,
        answers=answers,
    )
    try:
        yield recorded
    finally:
        recorded.close()


def finish_recording(
    recorded: RecordedRun, ledger: Path, run: str, code: int, say: Callable[[list[str]], None]
) -> int:
    """Write the recording; the exit code: a run without the evidence asked for has failed."""
    try:
        say(recorded.finish(ledger, run))
    except NoburnError as error:
        say(error.lines())
        return code or error.exit_code
    return code
