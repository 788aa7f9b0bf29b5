"""A bug inside the daemon: what it was doing is not told as done, and memory is made anew."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.parts import OPEN, Caller, environment, eventually

#: The real daemon, with a planted bug: a commit, or a decision, fails once while a file is there.
FAULTY = """
import os, sys
from pathlib import Path
from noburn_daemon import __main__, ending, policy, sqlite

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
once(policy, "put_budget", False)
sys.argv = ["noburn-daemon", "--home", sys.argv[1]]
sys.exit(__main__.main())
"""


@contextlib.contextmanager
def faulty() -> Iterator[tuple[Path, Caller]]:
    """A home with that daemon, and a connection to it."""
    with tempfile.TemporaryDirectory(prefix="nb-", dir="/tmp") as folder:
        home = Path(folder)
        command = [sys.executable, "-c", FAULTY, folder]
        with subprocess.Popen(command, env=environment()) as process:
            try:
                eventually(lambda: is_listening(home), "a daemon")
                yield home, Caller(home)
            finally:
                process.kill()
                while OPEN:
                    OPEN.pop().close()


def is_listening(home: Path) -> bool:
    """The socket has its name before anybody is listened to."""
    try:
        Caller(home, hello=False).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("where", ["append", "settle"])
def test_what_a_bug_interrupted_is_asked_again_and_done_once(where: str) -> None:
    with faulty() as (home, caller):
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


def test_a_change_that_a_bug_breaks_off_lets_nothing_through_and_is_given_up() -> None:
    """Its moment comes with a call that another budget blocks: it stays blocked, and answered."""
    with faulty() as (home, caller):
        assert caller.budget("global", 1)["ok"]
        limit = {"unit": "dollars", "amount": 10**9}
        now_ms = caller.ask(n=1, op="status")["now_ms"]
        change = {"scope": "customer=acme", "per": "day", "limit": limit, "at_ms": now_ms + 1_000}
        (home / "fail").write_text("put_budget")
        assert caller.ask(n=1, op="budget.set", **change)["ok"]
        answers: list[str] = []

        def given_up() -> bool:
            reply = caller.reserve(f"a-{len(answers)}")
            assert not reply["ok"]
            answers.append(reply["error"])
            return not (home / "fail").exists() and reply["error"] == "blocked"

        eventually(given_up, "it is given up")
        assert set(answers) <= {"blocked", "unknown", "ledger"}
        assert {"unknown", "ledger"} & set(answers)
        listed = caller.ask(n=1, op="budget.list")
        assert [budget["name"] for budget in listed["budgets"]] == ["global per total"]
        assert listed["scheduled"] == []
