"""Users of one machine are apart: each has a daemon, and nobody talks to or reads another's.

It takes root to be two others: each process imports what it needs, and becomes its user then, since
that user may not be able to enter the folder where Python lies.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.parts import environment, eventually, reserve_frame

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can be somebody else"
)
ANN, BEN = 61_001, 61_002

_BECOME = (
    "import os\nos.setgroups([])\n"
    "os.setresgid({uid}, {uid}, {uid})\nos.setresuid({uid}, {uid}, {uid})\n"
)
_DAEMON = (
    "import sys, uvloop, zoneinfo, encodings.ascii, encodings.latin_1\n"
    "import noburn_daemon.__main__ as d\n"
    "from noburn_cli import prices, resources\n"
    "prices.load_book(dict(NOBURN_HOME='/none'))\n"
    "shipped = resources.shipped_prices()\n"
    "resources.shipped_prices = lambda: shipped\n"
    + _BECOME
    + "sys.argv = ['noburn-daemon']\nsys.exit(d.main())\n"
)
_CLIENT = (
    "import json, socket, sys\n"
    + _BECOME
    + """
path, frames = sys.argv[1], json.loads(sys.argv[2])
talk = socket.socket(socket.AF_UNIX)
talk.settimeout(60)
try:
    talk.connect(path)
    talk.sendall(b"".join(json.dumps(frame).encode() + b"\\n" for frame in frames))
    file = talk.makefile("rb")
    print(json.dumps([json.loads(file.readline() or b"null") for _ in frames]))
except OSError as error:
    print(json.dumps([type(error).__name__]))
"""
)
_READ = (
    "import pathlib, sys\n"
    + _BECOME
    + """
for path in sys.argv[1:]:
    try:
        pathlib.Path(path).open("rb").read(1)
        print("read", path)
    except OSError:
        print("refused")
"""
)
HELLO = {"n": 0, "op": "hello", "v": 1}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, as /home is."""
    folder = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    folder.chmod(0o755)
    for uid in (ANN, BEN):
        (folder / str(uid)).mkdir()
        os.chown(folder / str(uid), uid, uid)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def as_user(uid: int, script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script.format(uid=uid), *arguments],
        env=environment(), cwd="/", capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def ask(uid: int, home: Path, *frames: dict[str, Any]) -> list[Any]:
    found: list[Any] = json.loads(
        as_user(uid, _CLIENT, str(home / "daemon.sock"), json.dumps(frames))
    )
    return found


def started(uid: int, place: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """A daemon of a user, in that user's own place below their home (XDG)."""
    own = {"HOME": str(place / str(uid)), "PATH": os.environ["PATH"]}
    kept = {k: v for k, v in environment().items() if k == "PYTHONPATH"}
    process = subprocess.Popen(
        [sys.executable, "-c", _DAEMON.format(uid=uid)],
        env={**kept, **own}, cwd="/", stderr=subprocess.PIPE,
    )  # fmt: skip
    home = place / str(uid) / ".local" / "state" / "noburn"
    log = home / "daemon.log"
    eventually(
        lambda: process.poll() is not None or (log.exists() and "listening" in log.read_text()),
        "it listens",
    )
    if process.poll() is not None:
        assert process.stderr is not None
        raise AssertionError(process.stderr.read().decode())
    return process, home


def test_two_users_have_two_daemons_and_neither_reaches_the_others(place: Path) -> None:
    daemons = [started(uid, place) for uid in (ANN, BEN)]
    try:
        (_, ann), (_, ben) = daemons
        for uid, home, call in ((ANN, ann, "a1"), (BEN, ben, "b1")):
            hello, granted, status = ask(
                uid, home, HELLO, reserve_frame(call), {"n": 2, "op": "status"}
            )
            assert hello["ok"]
            assert granted["ok"]
            assert (status["open_holds"], status["ledger"]["path"]) == (
                *(1, str(home / "ledger.sqlite3")),
            )
            owned = [home, *home.iterdir()]
            assert {path.stat().st_uid for path in owned} == {uid}
            assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in owned} == {0}
        for uid, home in ((ANN, ben), (BEN, ann)):
            assert ask(uid, home, HELLO) == ["PermissionError"]
            files = [str(home / name) for name in ("ledger.sqlite3", "daemon.log", "daemon.lock")]
            assert set(as_user(uid, _READ, *files).split()) == {"refused"}
        # Past the modes, as root is: the daemon itself asks who it is, and says nothing.
        assert ask(0, ann, HELLO) in ([None], ["ConnectionResetError"], ["BrokenPipeError"])
        # A folder of somebody else is no home, though root could write to it.
        command = [sys.executable, "-m", "noburn_daemon", "--home", str(ann)]
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, "belongs to another user" in done.stderr) == (4, True)
    finally:
        for process, _ in daemons:
            process.terminate()
            assert process.wait(60) == 0
            assert process.stderr is not None
            process.stderr.close()
