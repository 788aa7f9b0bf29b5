"""A bug inside the daemon: what it was doing is not told as done, and memory is made anew."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.daemon.parts import Caller, environment, eventually

#: The real daemon, with a planted bug: a commit, or a decision, fails once while a file is there.
FAULTY = """
import os, sys
from pathlib import Path
from noburn_daemon import __main__, ending, sqlite

flag = Path(sys.argv[1]) / "fail"

def once(place, name, before):
    right = getattr(place, name)
    def wrong(*args, **kwargs):
        if flag.exists() and flag.read_text() == name:
            flag.unlink()
            if not before:
                right(*args, **kwargs)
            raise RuntimeError("a planted bug")
        return right(*args, **kwargs)
    setattr(place, name, wrong)

once(sqlite.SqliteLedger, "append", True)
once(ending, "settle", False)
sys.argv = ["noburn-daemon", "--home", sys.argv[1]]
sys.exit(__main__.main())
"""


def is_listening(home: Path) -> bool:
    """The socket has its name before anybody is listened to."""
    try:
        Caller(home, hello=False).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("where", ["append", "settle"])
def test_what_a_bug_interrupted_is_asked_again_and_done_once(where: str) -> None:
    with tempfile.TemporaryDirectory(prefix="nb-", dir="/tmp") as folder:
        home = Path(folder)
        command = [sys.executable, "-c", FAULTY, folder]
        with subprocess.Popen(command, env=environment()) as process:
            try:
                eventually(lambda: is_listening(home), "a daemon")
                caller = Caller(home)
                assert caller.budget("customer=acme", 10**9)["ok"]
                assert caller.reserve("a-1")["ok"]
                (home / "fail").write_text(where)
                failed = caller.settle("a-1")
                assert (failed["ok"], failed["error"]) == (False, "unknown")
                assert caller.account("customer=acme per total")["settled"] == 0
                eventually(lambda: caller.settle("a-1")["ok"], "recovery")
                again = caller.settle("a-1")
                assert (again["ok"], again["state"]) == (True, "settled")
                account = caller.account("customer=acme per total")
                assert (account["settled"], account["held"]) == (again["cost_nano"], 0)
                caller.close()
            finally:
                process.terminate()
                process.wait()
