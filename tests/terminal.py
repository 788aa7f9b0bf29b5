"""A real terminal with a shell in it: what a person types, and what the screen shows."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from types import TracebackType

PROMPT = "ready> "
CTRL_C, CTRL_Z, CTRL_BACKSLASH = "\x03", "\x1a", "\x1c"


class Terminal:
    """An interactive bash on a pseudo-terminal of its own, job control included."""

    def __init__(self, environment: Mapping[str, str], *, patience_s: float = 60) -> None:
        self._patience_s = patience_s
        self._screen = ""
        self._master, slave = pty.openpty()
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**environment, "PS1": PROMPT, "TERM": "dumb", "HISTFILE": "", "LC_ALL": "C"},
        )
        os.close(slave)
        self.wait_for(PROMPT)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        # An interactive shell that is hung up does the same to its jobs.
        self.hang_up()
        try:
            self._shell.wait(5)
        except subprocess.TimeoutExpired:
            self._shell.kill()
            self._shell.wait()
        os.close(self._master)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def run(self, line: str) -> str:
        """Type a line and wait until the shell asks for the next; what was shown between."""
        self.type(line + "\n")
        return self.wait_for(re.escape(PROMPT) + "$")

    def wait_for(self, pattern: str) -> str:
        """Wait until the screen shows `pattern`; all up to its end, which is then forgotten.

        The echo of a typed line counts: look for what the line alone does not say.
        """
        deadline = time.monotonic() + self._patience_s
        while (found := re.search(pattern, self._screen)) is None:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"no {pattern!r} in {self._screen!r}"
            if select.select([self._master], [], [], left_s)[0]:
                self._screen += self._read()
        shown, self._screen = self._screen[: found.end()], self._screen[found.end() :]
        return shown

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """End the shell as a closed window does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._shell.pid, signal.SIGHUP)

    def _read(self) -> str:
        try:
            return os.read(self._master, 65536).decode(errors="replace").replace("\r", "")
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise AssertionError(f"the terminal is gone: {self._screen!r}") from error
