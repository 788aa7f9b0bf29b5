"""Backups, restores and compacting with a real daemon, under load, and killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from noburn_cli.copies.backup import back_up
from noburn_cli.copies.restore import Lost, restore
from noburn_cli.errors import NoburnError
from noburn_cli.reports.verify import verify_ledger
from tests.daemon.months import START_MS, fill_months

ROOT = Path(__file__).resolve().parents[2]

_LOAD = """
import sys, time
from pathlib import Path
from noburn_cli.client import Client, new_call_id
from noburn_cli.errors import NoburnError
import json
frame = json.loads(sys.argv[2])
client = Client(home=Path(sys.argv[1]))
while True:
    call = new_call_id()
    try:
        client.reserve({**frame, "call": call})
        client.settle(call, {"input": 100, "output": 5})
    except NoburnError:
        time.sleep(0.01)
"""
_IN_FLIGHT = """
import json, sys, time
from pathlib import Path
from noburn_cli.client import Client
reply = Client(home=Path(sys.argv[1])).reserve(json.loads(sys.argv[2]))
assert reply["ok"], reply
print("held", flush=True)
time.sleep(600)
"""


def _start(script: str, home: Any, frame: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(home.path), json.dumps(frame)],
        env=home.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _calls(home: Any) -> int:
    with sqlite3.connect(f"file:{home.ledger}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT count(*) FROM journal WHERE kind = 'settle'").fetchone()
    connection.close()
    return int(found[0])


def _wait_for_calls(home: Any, more: int) -> None:
    wanted, deadline = _calls(home) + more, time.monotonic() + 60
    while _calls(home) < wanted:
        assert time.monotonic() < deadline, "the load stands still"
        time.sleep(0.05)


def test_backup_and_restore_while_calls_are_made(home: Any, reserve: Any, tmp_path: Path) -> None:
    """Goal: a backup under load is whole; a restore loses what it says, and nothing else."""
    home.said("budget", "set", "customer=*", "50", "--per", "month")
    load = _start(_LOAD, home, reserve("x"))
    held = _start(_IN_FLIGHT, home, reserve("c7"))
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        _wait_for_calls(home, 80)
        file = tmp_path / "backup"
        made = json.loads(home.said("ledger", "backup", str(file), "--json"))["data"]
        assert file.stat().st_mode & 0o777 == 0o600
        assert [p.name for p in tmp_path.iterdir()] == ["backup"]
        verdict = verify_ledger(file)
        assert verdict.holds
        assert (verdict.rows, verdict.head) == (made["rows"], made["head"])
        _wait_for_calls(home, 30)
        held.kill()

        refused = home.noburn("ledger", "restore", str(file))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "is behind the present ledger" in refused.stderr
        _wait_for_calls(home, 20)  # the daemon is back, and the load has found it

        done = json.loads(home.said("ledger", "restore", str(file), "--force", "--json"))["data"]
        assert (done["head"], done["open_holds"] > 0) == (made["head"], True)
        assert done["lost"]["calls"] >= 40
        assert verify_ledger(Path(done["kept_aside"])).holds
        _wait_for_calls(home, 20)
    finally:
        for process in (load, held):
            process.kill()
            process.communicate()
    deadline = time.monotonic() + 60
    while "c7" not in home.said("ledger", "orphans"):
        assert time.monotonic() < deadline, "the hold of the backup was never charged"
        time.sleep(0.1)
    home.stop()
    assert verify_ledger(home.ledger, head=bytes.fromhex(made["head"])).holds


def test_what_is_not_restored(filled: Any, tmp_path: Path) -> None:
    """Goal: a broken, newer or foreign backup is refused, and the ledger left alone."""
    file = tmp_path / "backup"
    filled.said("ledger", "backup", str(file))
    filled.said("ledger", "backup", str(file))  # an earlier one is replaced
    filled.stop()
    before = filled.ledger.read_bytes()

    def refused(name: str, statement: str) -> tuple[int, str]:
        other = tmp_path / name
        other.write_bytes(file.read_bytes())
        with sqlite3.connect(other) as connection:
            connection.executescript(statement)
        connection.close()
        done = filled.noburn("ledger", "restore", str(other), "--force")
        assert done.stdout == ""
        assert filled.ledger.read_bytes() == before
        return done.returncode, done.stderr

    code, said = refused("newer", "PRAGMA user_version = 99")
    assert (code, "newer noburn" in said) == (4, True)
    code, said = refused(
        "edited", "DROP TRIGGER journal_is_unchanged; UPDATE journal SET cost_nano = cost_nano + 1"
    )
    assert (code, "is broken, and was not restored" in said) == (4, True)
    (tmp_path / "text").write_text("not a ledger")
    assert filled.noburn("ledger", "restore", str(tmp_path / "text")).returncode == 4
    done = filled.noburn("ledger", "backup", str(tmp_path / "text"))
    assert (done.returncode, (tmp_path / "text").read_text()) == (1, "not a ledger")
    assert sorted(p.name for p in filled.path.glob("ledger.sqlite3*")) == ["ledger.sqlite3"]


def test_only_a_file_that_is_damaged_or_not_there_has_nothing_to_lose(tmp_path: Path) -> None:
    """Goal: what cannot be read now, and may be read later, is not replaced without --force."""
    ledger, file = tmp_path / "ledger.sqlite3", tmp_path / "backup"
    fill_months(ledger, calls=60)

    def put_back(*, force: bool = False) -> Lost:
        return restore(file, tmp_path, ledger, force=force, tell=lambda *_: None).lost

    def edited(path: Path, statement: str) -> None:
        with sqlite3.connect(path) as connection:
            connection.executescript(statement)
        connection.close()

    back_up(ledger, file, lambda *_: None)
    whole = file.read_bytes()
    edited(ledger, "PRAGMA user_version = 99")
    newer = ledger.read_bytes()
    with pytest.raises(NoburnError, match="cannot be read") as refused:
        put_back()
    assert "schema 99" in str(refused.value.why)
    assert ledger.read_bytes() == newer
    assert "schema 99" in put_back(force=True).unread

    ledger.write_bytes(whole)
    edited(ledger, "PRAGMA journal_mode = DELETE")
    holder = apsw.Connection(str(ledger))  # locks do not part two libraries of one process
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("noburn_cli.copies.restore.BUSY_MS", 1)
        with pytest.raises(NoburnError, match="cannot be read"):
            put_back()
    holder.execute("ROLLBACK")
    holder.close()
    edited(ledger, "PRAGMA user_version = 2")  # an older one is read, and is the same
    assert put_back() == Lost(continues=True)
    for damaged in (b"", b"not a ledger at all", whole[:4096] + b"x" * (len(whole) - 4096)):
        ledger.write_bytes(damaged)
        assert put_back() == Lost(continues=True)
    ledger.unlink()
    assert put_back() == Lost(continues=True)


def test_an_older_backup_is_migrated_on_its_way(home: Any, tmp_path: Path) -> None:
    file = tmp_path / "old"
    with sqlite3.connect(file) as connection:
        dump = ROOT / "tests" / "corpus" / "ledger-schema-2.sql"
        connection.executescript(dump.read_text(encoding="utf-8"))
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    before = file.read_bytes()
    assert "restored 54 rows" in home.said("ledger", "restore", str(file))
    assert file.read_bytes() == before
    assert home.said("ledger", "verify").startswith("the ledger holds: 54 rows")

    home.ledger.write_bytes(before)  # as an upgrade finds it
    checked = home.noburn("ledger", "migrate", "--check")
    assert (checked.returncode, home.ledger.read_bytes()) == (1, before)
    assert "would be brought from schema 2 to 3" in checked.stdout
    assert "the file as it was is kept as" in home.said("ledger", "migrate")
    assert "nothing to do" in home.said("ledger", "migrate", "--check")
    assert home.ledger.with_name("ledger.sqlite3.schema-2").read_bytes()[:16] == before[:16]


def test_a_daemon_killed_while_compacting_leaves_a_whole_ledger(home: Any) -> None:
    """Goal: at whatever moment it dies, one whole file has the name, and all money is told."""
    fill_months(home.ledger, calls=800)
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    before = json.loads(home.said("report", "--by", "customer", "--json"))["data"]
    for _ in range(2):
        home.said("daemon", "start")
        pid = int((home.path / "daemon.lock").read_text())
        compacting = subprocess.Popen(
            [sys.executable, "-m", "noburn_cli", "ledger", "compact", "--before", "2026-10"],
            env=home.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(dice.uniform(0.2, 1.0))
        os.kill(pid, signal.SIGKILL)
        compacting.wait(timeout=120)
        home.stop()
        assert verify_ledger(home.ledger).holds, seed
        after = json.loads(home.said("report", "--by", "customer", "--json"))["data"]
        assert after["rows"] == before["rows"], seed
    home.said("ledger", "compact", "--before", "2026-10")
    said = json.loads(home.said("ledger", "compact", "--before", "2026-10", "--json"))["data"]
    assert (said["calls"], said["rows"]) == (0, 0)
    after = json.loads(home.said("report", "--by", "customer", "--json"))["data"]
    assert (after["rows"], after["total"]) == (before["rows"], before["total"])
    cut = home.said("report", "--since", "2026-08-10", "--by", "day")
    assert "Calls of 2026-08 are left out" in cut
    assert "2026-09 " in cut
    first = f"{START_MS:011x}-" + "0" * 20
    assert "only the sums of its month are left" in home.noburn("why", first).stderr
    assert verify_ledger(home.ledger).through > 0


_DIES = """
import os, signal, sys
from pathlib import Path
from noburn_cli.core.months import month_start_ms
from noburn_daemon import rewriting
from noburn_daemon.compacting import Compaction
from noburn_daemon.sqlite import SqliteLedger
left = int(sys.argv[2])
def dying(real):
    def step(*arguments, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **more)
    return step
ledger = SqliteLedger(Path(sys.argv[1]), now_ms=0)
change = Compaction("2026-10", ledger.last_before(month_start_ms("2026-10")))
new = rewriting.NewFile(ledger.path, change)
while (copied := new.copy_some())[0] < copied[1]:
    pass
assert ledger.is_checkpointed()
seal = new.seal()
Path.unlink, Path.rename, os.fsync = dying(Path.unlink), dying(Path.rename), dying(os.fsync)
new.finish(seal, 0)
ledger.go_on_with(new.path)
ledger.close()
print("done")
"""


@pytest.mark.parametrize("steps", range(6))
def test_death_at_each_step_of_the_exchange(tmp_path: Path, steps: int) -> None:
    path = tmp_path / "ledger.sqlite3"
    fill_months(path, calls=60)
    done = subprocess.run(
        [sys.executable, "-c", _DIES, str(path), str(steps)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.stdout == "done\n") == (steps == 5), done.stderr
    assert done.returncode == (0 if steps == 5 else -signal.SIGKILL), done.stderr
    verdict = verify_ledger(path)
    assert verdict.holds, verdict
    assert (verdict.through > 0) == (steps >= 4)  # from the rename on


def test_a_name_is_forgotten_in_the_whole_home(filled: Any, reserve: Any) -> None:
    """Goal: after `forget` no file of the home says the name, and calls go on as before."""
    filled.said("budget", "set", "customer=acme", "5", "--per", "day")
    filled.said("budget", "topup", "customer=acme", "1", "--per", "day")
    filled.ledger.with_name("ledger.sqlite3.schema-2").write_bytes(filled.ledger.read_bytes())
    dry = filled.said("ledger", "forget", "customer=acme", "--dry-run")
    assert "would be changed" in dry
    settled = json.loads(filled.said("budget", "list", "--json"))["data"]
    said = filled.said("ledger", "forget", "customer=acme", "--erase-copies")
    assert "a copy erased: " in said
    for file in filled.path.iterdir():
        assert file.is_socket() or b"acme" not in file.read_bytes(), file
    text = json.dumps(settled)
    stand_in = said.partition("it is customer=")[2].partition(" now")[0]
    assert (
        json.loads(text.replace("acme", stand_in))
        == json.loads(filled.said("budget", "list", "--json"))["data"]
    )
    assert stand_in in filled.said("report", "--by", "customer")
    with filled.client() as client:
        # What was in flight ends; the same name is somebody else, with nothing spent.
        assert client.settle("c8", {"input": 1, "output": 1})["state"] == "settled"
        assert client.reserve(reserve("c9"))["ok"]
        left = client.request("remaining", attrs={"customer": "acme"})
        assert [account["settled"] for account in left["accounts"]] == [0]
    assert filled.said("ledger", "verify").startswith("the ledger holds: ")
    again = filled.noburn("ledger", "forget", "customer")
    assert (again.returncode, again.stdout) == (2, "")
