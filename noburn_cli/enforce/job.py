"""One child in a process group of its own, with the terminal as if we were not there.

Layer: enforce (POSIX).  Below: nothing of ours.  Above: supervisor.
Owns: process group, terminal hand-over, stop and continue, forwarding of signals.
Not here: budgets, the daemon, what the child is told (launch).

The child leads its own group, so that a `kill` can end everything it started.  While we are the
terminal's foreground job, that group gets the terminal and with it the keyboard's signals; signals
sent to us are handed on to it; when it stops, we stop, and a shell sees one job.  A job whose input
or output is a pipe shares the terminal with its neighbours (`… | less`), so it is given the
terminal only if it asks for it, which the kernel tells by stopping it with SIGTTIN or SIGTTOU.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

FORWARDED = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGTSTP,
)
_ASKS_FOR_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)


class Job:
    """A running child process group.  Made by `Job.start`; used from the main thread."""

    def __init__(
        self, process: subprocess.Popen[bytes], terminal: int | None, *, mask_before: set[int]
    ) -> None:
        self._process = process
        self._terminal = terminal
        self._mask_before = mask_before
        self._ended = threading.Event()

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> Job:
        """Start `command` as the leader of a new process group.

        Raises OSError as `exec` does: FileNotFoundError, PermissionError, or ENOEXEC.
        """
        terminal = _controlling_terminal()
        hand_over = terminal is not None and os.isatty(0) and os.isatty(1) and _in_front(terminal)

        # A signal that arrives before `wait` listens is kept until then, and not lost on the way.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)

        def in_child() -> None:
            os.setpgid(0, 0)
            if hand_over and terminal is not None:
                _give_terminal(terminal, os.getpid())
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

        try:
            process = subprocess.Popen(
                list(command),
                env=dict(environment),
                # The hand-over must come before exec; no thread of ours runs yet.
                preexec_fn=in_child,
            )
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            raise
        return cls(process, terminal, mask_before=before)

    @property
    def group(self) -> int:
        return self._process.pid

    def wait(self) -> int:
        """Wait for the child; its exit code, or 128 + n when signal n ended it."""
        with self._forwarding():
            while True:
                _, status = os.waitpid(self._process.pid, os.WUNTRACED)
                if os.WIFSTOPPED(status):
                    self._stopped(os.WSTOPSIG(status))
                    continue
                break
        self._ended.set()
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._take_terminal_back()
        code = self._process.returncode
        return 128 - code if code < 0 else code

    def end(self, *, grace_s: float) -> None:
        """End the whole group: SIGTERM, then SIGKILL after `grace_s` seconds; from any thread."""
        self._signal_group(signal.SIGTERM)
        self._signal_group(signal.SIGCONT)
        self._ended.wait(grace_s)
        # Members may outlive the leader, so the group is killed even when the leader has gone.
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)

    @contextlib.contextmanager
    def _forwarding(self) -> Iterator[None]:
        def forward(number: int, _frame: FrameType | None) -> None:
            self._signal_group(number)

        before = {}
        for number in FORWARDED:
            # A signal that our starter ignores (nohup) stays ignored, in the child as well.
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, forward)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_before)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stopped(self, number: int) -> None:
        if (
            number in _ASKS_FOR_TERMINAL
            and self._terminal is not None
            and _in_front(self._terminal)
        ):
            _give_terminal(self._terminal, self.group)
            self._signal_group(signal.SIGCONT)
            return
        self._take_terminal_back()
        self._stop_ourselves(number)
        # Here again: somebody continued us.
        if self._terminal is not None and _in_front(self._terminal):
            _give_terminal(self._terminal, self.group)
        self._signal_group(signal.SIGCONT)

    @staticmethod
    def _stop_ourselves(number: int) -> None:
        if number not in (signal.SIGTSTP, *_ASKS_FOR_TERMINAL):
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        handler = signal.signal(number, signal.SIG_DFL)
        os.kill(0, number)  # The whole job, as the terminal would have done.
        signal.signal(number, handler)

    def _take_terminal_back(self) -> None:
        if self._terminal is None:
            return
        with contextlib.suppress(OSError):
            if os.tcgetpgrp(self._terminal) == self.group:
                _give_terminal(self._terminal, os.getpgrp())


def _controlling_terminal() -> int | None:
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None


def _in_front(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


def _give_terminal(terminal: int, group: int) -> None:
    # A background process that does this is sent SIGTTOU; blocked, the call goes through.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, group)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
