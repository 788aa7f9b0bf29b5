"""A command under `Job` behaves as if nothing stood before it: in a terminal, in a pipe, as a
service.  Real processes, real signals, a real terminal with bash in it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from noburn_cli.enforce.job import Job
from tests.terminal import CTRL_BACKSLASH, CTRL_C, CTRL_Z, Terminal

REPOSITORY = Path(__file__).parents[2]
SUPERVISE = (
    "import os, sys\nfrom noburn_cli.enforce.job import Job\n"
    "sys.exit(Job.start(sys.argv[1:], os.environ).wait())"
)
#: Counts a signal until half a second after the first, tells how often it came, and exits 7.
COUNT = """
import signal, sys, time
seen = []
signal.signal(getattr(signal, sys.argv[1]), lambda *_: seen.append(1))
print("counting", flush=True)
while not seen:
    time.sleep(0.02)
time.sleep(0.5)
print(f"seen={len(seen)}", flush=True)
sys.exit(7)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Commands for the shell: `supervise CMD`, and `count SIGNAL`."""
    for name, text in {"supervise": SUPERVISE, "count": COUNT}.items():
        script = tmp_path / name
        script.write_text(f"#!{sys.executable}\n{text}\n")
        script.chmod(0o755)
    paths = f"{REPOSITORY}:{REPOSITORY / 'daemon'}"
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": paths}


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Terminal]:
    with Terminal(environment) as opened:
        yield opened


def supervise(environment: dict[str, str], *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["supervise", *command], env=environment, stdout=subprocess.PIPE, text=True
    )


# In a terminal.


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("supervise count SIGINT", "$?"),
        ("supervise count SIGINT | sh -c 'trap \"\" INT; cat'", "${PIPESTATUS[0]}"),
    ],
)
def test_ctrl_c_reaches_the_child_once(terminal: Terminal, line: str, code: str) -> None:
    terminal.type(f"{line}; echo code=[{code}]\n")
    terminal.wait_for("\ncounting\n")
    terminal.type(CTRL_C)
    shown = terminal.wait_for(r"code=\[\d+\]")
    assert "seen=1" in shown
    assert "code=[7]" in shown


@pytest.mark.parametrize(("key", "code"), [(CTRL_C, 130), (CTRL_BACKSLASH, 131)])
def test_the_code_of_a_child_that_dies_of_a_key(terminal: Terminal, key: str, code: int) -> None:
    terminal.run("ulimit -c 0")
    terminal.type("supervise sh -c 'echo up; exec sleep 60'\n")
    terminal.wait_for("\nup\n")
    terminal.type(key)
    terminal.wait_for("ready> ")
    assert f"code=[{code}]" in terminal.run("echo code=[$?]")


def test_ctrl_c_ends_the_script_around_it_too(terminal: Terminal, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("supervise sh -c 'echo up; exec sleep 60'\necho script went on\n")
    terminal.type(f"sh {script}\n")
    terminal.wait_for("\nup\n")
    terminal.type(CTRL_C)
    shown = terminal.wait_for("ready> ")
    assert "went on" not in shown


def test_ctrl_z_stops_the_whole_job_and_fg_goes_on(terminal: Terminal) -> None:
    terminal.type("supervise sh -c 'echo up; read x; echo \"got:$x\"'\n")
    terminal.wait_for("\nup\n")
    terminal.type(CTRL_Z)
    terminal.wait_for("Stopped")
    terminal.wait_for("ready> ")
    assert "Stopped" in terminal.run("jobs")
    terminal.type("fg\n")
    terminal.wait_for("supervise")
    terminal.type("hello\n")
    terminal.wait_for("got:hello")
    terminal.wait_for("ready> ")
    assert "code=[0]" in terminal.run("echo code=[$?]")


def test_bg_goes_on_in_the_background(terminal: Terminal, tmp_path: Path) -> None:
    # The child forks nothing: a shell that is stopped between vfork and exec cannot say so, with
    # us or without us, and the keyboard hits that moment once in a while.
    go = tmp_path / "go"
    os.mkfifo(go)
    terminal.type(f"supervise sh -c \"echo up; read x <{go}; echo end''ed\"\n")
    terminal.wait_for("\nup\n")
    terminal.type(CTRL_Z)
    terminal.wait_for("Stopped")
    terminal.type(f"bg; echo >{go}; wait; read x; echo shell is in $x\n")
    terminal.wait_for("ended\n")
    terminal.type("front\n")
    terminal.wait_for("shell is in front")


def test_a_background_job_that_reads_stops_until_it_is_in_front(terminal: Terminal) -> None:
    terminal.run("supervise sh -c 'read x; echo \"got:$x\"' &")
    deadline = time.monotonic() + 60
    while "Stopped" not in terminal.run("jobs"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    terminal.type("fg\n")
    terminal.wait_for("supervise")
    terminal.type("hello\n")
    terminal.wait_for("got:hello")


def test_a_pipeline_reads_the_keyboard(terminal: Terminal) -> None:
    terminal.type("supervise sh -c 'echo up; read x; echo \"got:$x\"' | cat\n")
    terminal.wait_for("\nup\n")
    terminal.type("hello\n")
    terminal.wait_for("got:hello")


def test_a_neighbour_in_the_pipeline_keeps_the_keyboard_after_fg(terminal: Terminal) -> None:
    # Twice: a read that waits already is not asked again whose terminal it is.
    reads = 'sh -c \'exec </dev/tty; echo up; read x; echo "got:$x"; read y; echo "got:$y"\''
    # Both are there before the key: a stop while the supervisor starts its child is lost.
    terminal.type(f"supervise sh -c 'echo in-side >/dev/tty; exec sleep 60' | {reads}\n")
    terminal.wait_for("\n(up\n(.*\n)*in-side|in-side\n(.*\n)*up)\n")
    terminal.type(CTRL_Z)
    terminal.wait_for("Stopped")
    terminal.wait_for("ready> ")
    terminal.type("fg\n")
    terminal.wait_for("supervise")
    for word in ("hello", "again"):
        terminal.type(f"{word}\n")
        terminal.wait_for(f"got:{word}")
    terminal.type(CTRL_C)
    terminal.wait_for("ready> ")


@pytest.mark.parametrize(("pipe", "front"), [("", True), (" | cat", False)])
def test_the_terminal_is_the_childs_from_the_start_unless_neighbours_share_it(
    terminal: Terminal, pipe: str, front: bool
) -> None:
    ask = "import os; print('front:', os.tcgetpgrp(0) == os.getpgrp())"
    shown = terminal.run(f"supervise {shlex.join([sys.executable, '-c', ask])}{pipe}")
    assert f"front: {front}" in shown


TAKES_THE_TERMINAL = """
import os, signal, time
if os.fork() == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    os.kill(os.getppid(), signal.SIGKILL)
    try:
        while os.tcgetpgrp(0):  # Until the terminal is closed.
            time.sleep(0.05)
    except OSError:
        os._exit(0)
time.sleep(60)
"""


@pytest.mark.parametrize(
    "child", [["sh", "-c", "kill -9 $$"], [sys.executable, "-c", TAKES_THE_TERMINAL]]
)
def test_the_terminal_is_given_back_after_a_child_that_was_killed(
    terminal: Terminal, tmp_path: Path, child: list[str]
) -> None:
    # A script's shell has no job control: it never takes a terminal, and stops if it lost it.
    script = tmp_path / "script"
    script.write_text(f"supervise {shlex.join(child)}\necho code=[$?]\nread x\necho got:$x\n")
    terminal.type(f"sh {script}\n")
    terminal.wait_for(r"code=\[137\]")
    terminal.type("hello\n")
    terminal.wait_for("got:hello")


def test_a_stop_before_the_command_stands_does_not_hang_us(environment: dict[str, str]) -> None:
    """A Ctrl-Z between fork and exec would stop a child whose starter waits for its exec."""
    stopped = "import signal; os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), "
    script = SUPERVISE.replace("sys.exit", f"{stopped}signal.SIGTSTP))\nsys.exit")
    command = [sys.executable, "-c", script, "sh", "-c", "exit 7"]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            assert process.wait(60) == 7
        finally:
            process.kill()  # The kernel then ends what is stopped in the orphaned group.


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_closed_window_ends_a_child_that_is_stopped_unseen(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Its leader is not, and we hear of leaders only; nor does the kernel help, as we live on."""
    ended = tmp_path / "ended"
    member = f"trap 'echo >{ended}; exit' HUP; echo $$; kill -STOP $$; sleep 60"
    script = f"sh -c {shlex.quote(member)} & trap '' HUP; wait"
    os.mkfifo(ended)
    with Terminal(environment) as terminal:
        terminal.type(f"supervise bash -c {shlex.quote(script)}\n")
        stopped = int(terminal.wait_for(r"\n\d+\n").split()[-1])
        while state_of(stopped) != "T":
            time.sleep(0.02)
        terminal.hang_up()
        assert ended.read_text() == "\n"


@pytest.mark.parametrize("pipe", ["", " | cat"])
def test_a_new_window_size_reaches_the_child(terminal: Terminal, pipe: str) -> None:
    terminal.type(f"supervise count SIGWINCH{pipe}\n")
    terminal.wait_for("\ncounting\n")
    terminal.resize(40, 111)
    terminal.wait_for("seen=1")


# Without one.


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT"])
def test_a_signal_sent_to_us_reaches_the_child_once(environment: dict[str, str], name: str) -> None:
    process = supervise(environment, "count", name)
    assert process.stdout is not None
    assert process.stdout.readline() == "counting\n"
    process.send_signal(getattr(signal, name))
    assert process.communicate(timeout=120)[0] == "seen=1\n"
    assert process.returncode == 7


def test_sigusr1_goes_to_the_child_alone(environment: dict[str, str]) -> None:
    # The default of SIGUSR1 is death: a grandchild that never asked for it must not get it.
    script = "sleep 60 & trap 'kill $!; wait $!; echo $?; exit 3' USR1; echo up; wait"
    process = supervise(environment, "bash", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=120)[0] == "143\n", "it died of ours, not of SIGUSR1"
    assert process.returncode == 3


def test_what_our_starter_ignores_stays_ignored(environment: dict[str, str]) -> None:
    show = "import signal as s; print(s.getsignal(s.SIGHUP).name, s.getsignal(s.SIGINT).name)"
    line = f"trap '' HUP INT; exec supervise {shlex.join([sys.executable, '-c', show])}"
    done = subprocess.run(
        ["sh", "-c", line], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "SIG_IGN SIG_IGN\n"


def test_a_starter_that_ignores_its_children_still_gets_the_code(
    environment: dict[str, str],
) -> None:
    show = "import signal as s, sys; print(s.getsignal(s.SIGCHLD).name, flush=True); sys.exit(9)"
    line = f"import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); \
os.execvp('supervise', ['supervise', sys.executable, '-c', {show!r}])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {line}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (9, "SIG_IGN\n")


def test_the_child_has_signals_as_it_expects_them(environment: dict[str, str]) -> None:
    show = (
        "import signal as s\nprint(s.pthread_sigmask(s.SIG_BLOCK, []), s.getsignal(s.SIGTERM).name)"
    )
    process = supervise(environment, sys.executable, "-c", show)
    assert process.communicate(timeout=120)[0] == "set() SIG_DFL\n"


def test_descriptors_that_were_passed_by_number_reach_the_child(
    environment: dict[str, str],
) -> None:
    done = subprocess.run(
        ["bash", "-c", "supervise diff <(echo a) <(echo b); supervise sh -c 'echo out >&3' 3>&1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1c1\n< a\n---\n> b\nout\n", "")


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 200", 200), ("kill $$", 143)])
def test_the_childs_code(environment: dict[str, str], script: str, code: int) -> None:
    with supervise(environment, "sh", "-c", script) as process:
        assert process.wait(60) == code


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed(environment: dict[str, str], closed: str) -> None:
    fd = {"<": 0, ">": 1, "2": 2}[closed[0]]
    check = f"import os, sys\ntry:\n os.fstat({fd})\nexcept OSError: sys.exit(5)"
    line = f"exec supervise {shlex.join([sys.executable, '-c', check])} {closed}"
    done = subprocess.run(
        ["sh", "-c", line], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 5


# The end of a group.


def alive(pid: int) -> bool:
    """Whether a process runs; its corpse does not."""
    return state_of(pid) not in "ZX"


def state_of(pid: int) -> str:
    """The kernel's letter for a process, X when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def pids_from(stream: int, count: int) -> list[int]:
    text = b""
    while text.count(b"\n") < count:
        chunk = os.read(stream, 4096)
        assert chunk, text
        text += chunk
    return [int(line) for line in text.split()]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("leader", ["exec sleep 60", "trap '' TERM; sleep 60; sleep 60", "exit 0"])
def test_end_reaches_every_member_of_the_group(leader: str) -> None:
    """Deaf ones, stopped ones, and those that outlive the leader."""
    deaf = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.2; done' &"
    stopped = "sh -c 'echo $$; kill -STOP $$; sleep 60' &"
    if leader == "exit 0":
        # The kernel hangs up a group that has stopped members and loses its parent.
        stopped = "sh -c 'echo $$; exec sleep 60' &"
    read, write = os.pipe()
    script = f"exec >&{write}; {deaf} {stopped} {leader}"
    os.set_inheritable(write, True)
    try:
        job = Job.start(["bash", "-c", script], os.environ)
    finally:
        os.close(write)
    pids = pids_from(read, 2)
    assert all(map(alive, pids))
    if leader == "exit 0":
        assert job.wait() == 0
        job.end(grace_s=0.3)
    else:
        job.end(grace_s=0.3)
        assert job.wait() in (128 + signal.SIGTERM, 128 + signal.SIGKILL)
    assert os.read(read, 1) == b""  # The last one that had the pipe is gone,
    os.close(read)
    while any(map(alive, pids)):  # or about to be: files are closed before a process is dead.
        time.sleep(0.02)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


@pytest.mark.parametrize(
    ("command", "error"),
    [("no-such-command", FileNotFoundError), ("/tmp", PermissionError), ("text", OSError)],
)
def test_a_command_that_cannot_be_started_leaves_us_as_we_were(
    tmp_path: Path, command: str, error: type[OSError]
) -> None:
    if command == "text":
        path = tmp_path / "text"
        path.write_text("no program")
        path.chmod(0o755)
        command = str(path)
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    with pytest.raises(error):
        Job.start([command], os.environ)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    assert handlers == [signal.getsignal(number) for number in signal.valid_signals()]
