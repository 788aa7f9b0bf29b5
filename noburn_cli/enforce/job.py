"""One child in a process group of its own, with the terminal as if we were not there.

Layer: enforce (POSIX).  Below: nothing of ours.  Above: supervisor.
Owns: process group, terminal hand-over, stop and continue, forwarding of signals.
Not here: budgets, the daemon, what the child is told (launch).

The child leads its own group, so that a `kill` can end everything it started.  While we are the
terminal's foreground job, that group gets the terminal and with it the keyboard's signals; signals
sent to us are handed on to it; when it stops, we stop, and a shell sees one job.  A job whose input
or output is a pipe shares the terminal with its neighbours (`… | less`), so it is given the
terminal only if it asks for it, which the kernel tells by stopping it with SIGTTIN or SIGTTOU.
What we cannot hand on is a SIGSTOP sent to us alone: no process hears of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
_FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
_ASKS_FOR_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)
#: How often an ending group is looked at, in seconds.
_LOOK_S = 0.02
#: How long a child rests that asks for a terminal which nobody can give, in seconds.
_NO_TERMINAL_PAUSE_S = 0.5


class Job:
    """A running child process group.  Made by `Job.start`; `wait` belongs to the main thread."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        terminal: int | None,
        *,
        alone: bool,
        lent: bool,
        mask_before: set[int],
    ) -> None:
        self._process = process
        self._terminal = terminal
        #: Whether no pipe neighbours share the terminal with the child.
        self._alone = alone
        #: Whether the terminal is the child's at present.
        self._lent = lent
        self._mask_before = mask_before
        self._ending = threading.Event()
        # To one process: what only it understands (USR1), or what a service reads as "reload".
        self._to_leader = {signal.SIGUSR1, signal.SIGUSR2}
        if terminal is None:
            self._to_leader.add(signal.SIGHUP)

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        enter: Callable[[], None] | None = None,
    ) -> Job:
        """Start `command` as the leader of a new process group.

        enter: called in the child before exec, to move it to where it is to live.

        To be called while no other thread runs: it forks, and does something before exec.
        Raises OSError as `exec` does: FileNotFoundError, PermissionError, or ENOEXEC.
        """
        # Asked before the terminal is opened, which may get the number of a closed standard input.
        alone = os.isatty(0) and os.isatty(1)
        terminal = _controlling_terminal()
        hand_over = terminal is not None and alone and _in_front(terminal)
        ignores_children = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
        # A signal that arrives before `wait` listens is kept until then, and not lost on the way.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)

        def in_child() -> None:
            os.setpgid(0, 0)
            if hand_over and terminal is not None:
                _give_terminal(terminal, os.getpid())
            for number in FORWARDED:
                # Until exec, Python would only note a signal, and exec forgets the note.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    if number == signal.SIGTSTP:
                        # A stop that came since the fork is dropped: before exec, we could not
                        # hear of it.  One meant for our whole group waits in us, to be handed on.
                        signal.signal(number, signal.SIG_IGN)
                    signal.signal(number, signal.SIG_DFL)
            if ignores_children:
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            if enter is not None:
                enter()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

        if ignores_children:
            # Else the kernel drops the child's exit code before we can read it.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            process = subprocess.Popen(
                list(command),
                env=dict(environment),
                # What our starter passes on by number (`3>log`, `<(…)`) is meant for the child;
                # all of ours close at exec by themselves.
                close_fds=False,
                preexec_fn=in_child,
            )
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if hand_over and terminal is not None:
                _give_terminal(terminal, os.getpgrp())
            if terminal is not None:
                os.close(terminal)
            raise
        return cls(process, terminal, alone=alone, lent=hand_over, mask_before=before)

    @property
    def group(self) -> int:
        return self._process.pid

    def wait(self) -> int:
        """Wait for the child; its exit code, or 128 + n when signal n ended it."""
        with self._forwarding():
            while True:
                _, status = os.waitpid(self._process.pid, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    break
                self._stopped(os.WSTOPSIG(status))
        code = self._process.returncode = os.waitstatus_to_exitcode(status)
        had_terminal = self._take_terminal_back()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None
        if had_terminal and -code in _FROM_KEYBOARD:
            _tell_our_group(-code)
        return 128 - code if code < 0 else code

    def end(self, *, grace_s: float) -> None:
        """End the whole group: SIGTERM, then SIGKILL to what is left after `grace_s` seconds.

        From any thread, also when the leader has gone: members may outlive it.
        """
        self._ending.set()
        deadline = time.monotonic() + grace_s
        self._signal_group(signal.SIGTERM)
        self._signal_group(signal.SIGCONT)  # A stopped process hears SIGTERM only then.
        while self._group_exists() and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        self._signal_group(signal.SIGKILL)

    def _group_exists(self) -> bool:
        try:
            os.killpg(self.group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)

    def _signal_leader(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._process.pid, number)

    @contextlib.contextmanager
    def _forwarding(self) -> Iterator[None]:
        def forward(number: int, _frame: FrameType | None) -> None:
            if number in self._to_leader:
                self._signal_leader(number)
                return
            self._signal_group(number)
            if number == signal.SIGHUP:
                # Our life keeps the group from being an orphan, so that the kernel doesn't wake
                # what is stopped in it; and we hear only of a leader that stops.
                self._signal_group(signal.SIGCONT)

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
        """The child has stopped: give it what it asks for, or stop as well until continued."""
        if self._ending.is_set():
            self._signal_group(signal.SIGCONT)
            return
        asks = number in _ASKS_FOR_TERMINAL
        if not (asks and self._lend_terminal()):
            had_terminal = self._take_terminal_back()
            really = _stop_ourselves(number)
            # Here again: somebody continued us, in front or in the background.
            if self._alone or had_terminal or asks:
                self._lend_terminal()
            if not really and asks and not self._lent:
                time.sleep(_NO_TERMINAL_PAUSE_S)
        self._signal_group(signal.SIGCONT)

    def _lend_terminal(self) -> bool:
        """Give the child the terminal if it is ours to give; whether it was."""
        if self._terminal is None or not _in_front(self._terminal):
            return False
        _give_terminal(self._terminal, self.group)
        self._lent = True
        return True

    def _take_terminal_back(self) -> bool:
        """Take back what was lent, also from a group that the child gave it to; whether it was."""
        if self._terminal is None or not self._lent:
            return False
        self._lent = False
        with contextlib.suppress(OSError):
            # A shell that took it for itself, while we were stopped, keeps it.
            if os.tcgetpgrp(self._terminal) != os.getpgid(os.getppid()):
                _give_terminal(self._terminal, os.getpgrp())
        return True


def _stop_ourselves(number: int) -> bool:
    """Stop as the child did; False when the kernel doesn't stop us.

    That is in a group that no shell controls (POSIX: orphaned), where nobody could continue us.
    """
    if number not in (signal.SIGTSTP, *_ASKS_FOR_TERMINAL):
        os.kill(os.getpid(), signal.SIGSTOP)
        return True
    continued = threading.Event()
    before = {
        signal.SIGCONT: signal.signal(signal.SIGCONT, lambda *_: continued.set()),
        number: signal.signal(number, signal.SIG_DFL),
    }
    try:
        os.kill(0, number)  # The whole job, as the terminal would have done.
        return continued.is_set()
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler)


def _tell_our_group(number: int) -> None:
    """What the keyboard sent to the child's group was meant for its neighbours too.

    A script or a make that runs us would have been interrupted with the child.
    """
    before = signal.signal(number, signal.SIG_IGN)
    os.kill(0, number)
    signal.signal(number, before)


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
