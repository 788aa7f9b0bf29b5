"""A process that answers questions on its pipes: started at the first one, ended by `with`.

Layer: I/O.  Above: gating.git (blobs), gating.rendering (templates), which own what is asked.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class Child:
    """One process at a time; a question after `close` starts another.

    is_killed: it may be in the midst of something that does not end by itself.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        is_killed: bool,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._is_killed = is_killed
        self._cwd = cwd
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Where it is asked, and where it answers."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        return process.stdin, process.stdout

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        stdin, stdout = self.pipes()
        process, self._process = self._process, None
        if self._is_killed:
            process.kill()
        for pipe in (stdin, stdout):
            with contextlib.suppress(OSError):  # What it was asked last is not wanted any more.
                pipe.close()
        process.wait()
