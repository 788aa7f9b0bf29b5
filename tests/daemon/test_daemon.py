"""A real daemon over its socket: idempotency, waiting, crashes, full disks, strangers."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from noburn_cli.core import chain
from noburn_cli.core.bounds import TEMPLATE_TOKENS
from tests.daemon.parts import (
    START_MS,
    Caller,
    Running,
    balances,
    daemon,
    environment,
    eventually,
    open_book,
    reserve_frame,
)

#: A reserve of parts.reserve_frame holds 100 × $0.1/M + 1000 × $0.5/M.
HOLD = 510_000


def states(home: Path) -> dict[str, str]:
    connection = sqlite3.connect(f"file:{home}/ledger.sqlite3?mode=ro", uri=True)
    try:
        return dict(connection.execute("SELECT call, state FROM calls"))
    finally:
        connection.close()


def verified(home: Path) -> bool:
    connection = sqlite3.connect(home / "ledger.sqlite3")
    try:
        columns = ", ".join(chain.COLUMNS)
        rows = connection.execute(f"SELECT {columns}, chain FROM journal ORDER BY seq").fetchall()
    finally:
        connection.close()
    return chain.verify((row[:-1], row[-1]) for row in rows) is None


def test_a_repeat_answers_the_same_also_after_kill(running: Running) -> None:
    caller = Caller(running.home)
    first = caller.reserve("a1")
    assert first["ok"]
    assert caller.reserve("a1") == first
    assert caller.reserve("a1", model="gpt-6.1-terra")["error"] == "conflict"
    running.kill()
    running.start()
    again = Caller(running.home)
    assert again.reserve("a1") == first
    assert again.reserve("a1", attrs={"customer": "b"})["error"] == "conflict"
    settled = again.settle("a1")
    assert settled["state"] == "settled"
    running.kill()
    running.start()
    last = Caller(running.home)
    assert last.settle("a1") == settled
    assert last.settle("a1", output=11)["error"] == "conflict"
    assert last.reserve("a1")["error"] == "closed"
    assert verified(running.home)


def test_a_void_of_an_unknown_call_keeps_an_overtaken_reserve_out(running: Running) -> None:
    caller = Caller(running.home)
    assert caller.ask(n=1, op="void", call="v1")["state"] == "voided"
    assert caller.reserve("v1")["error"] == "closed"
    running.kill()
    running.start()
    assert Caller(running.home).reserve("v1")["error"] == "closed"


def test_a_late_bill_corrects_what_was_uncertain(running: Running) -> None:
    caller = Caller(running.home)
    caller.budget("global", 10 * HOLD)
    caller.reserve("u1")
    lost = caller.ask(n=1, op="lose", call="u1", reason="reset", latency_ms=7)
    assert (lost["state"], lost["cost_nano"]) == ("uncertain", HOLD)
    assert caller.account("global per total")["settled"] == HOLD
    assert caller.settle("u1")["cost_nano"] == 6_000
    assert caller.account("global per total")["settled"] == 6_000
    assert states(running.home) == {"u1": "settled"}


def test_a_bill_above_its_bound_raises_the_model(running: Running) -> None:
    caller = Caller(running.home)
    caller.reserve("b1")
    reply = caller.ask(n=1, op="settle", call="b1", usage={"input": 200, "output": 1000})
    assert (reply["cost_nano"], reply["overshoot_nano"]) == (520_000, 10_000)
    assert caller.reserve("b2")["hold_nano"] == 520_000
    running.kill()
    running.start()
    assert Caller(running.home).reserve("b3")["hold_nano"] == 520_000


def test_waiters_are_served_in_order_and_nobody_passes(running: Running) -> None:
    caller = Caller(running.home)
    caller.budget("global", HOLD)
    caller.reserve("w0")
    small = {"wanted": 10, "floor": 1, "choices": 1, "clamp": False}
    caller.send(**reserve_frame("w1", n=11, wait_ms=60_000))
    caller.send(**reserve_frame("w2", n=12, wait_ms=60_000, output=small))
    blocked = caller.ask(**reserve_frame("w3", n=13))
    assert (blocked["n"], blocked["error"], blocked["why_blocked"]) == (13, "blocked", "in_flight")
    assert caller.ask(n=14, op="status")["waiters"] == 2
    caller.send(n=15, op="void", call="w0")
    replies = [caller.hear() for _ in range(2)]
    assert sorted(r["n"] for r in replies) == [11, 15]  # w2 waits behind w1, which took it all
    caller.send(n=16, op="void", call="w1")
    replies = [caller.hear() for _ in range(2)]
    assert sorted(r["n"] for r in replies) == [12, 16]
    assert all(r["ok"] for r in replies)


def test_a_waiter_is_told_when_it_can_never_fit(running: Running) -> None:
    caller = Caller(running.home)
    caller.budget("global", HOLD)
    caller.reserve("s0")
    caller.send(**reserve_frame("s1", n=21, wait_ms=60_000))
    caller.send(n=22, op="settle", call="s0", usage={"input": 10, "output": 10})
    replies = {r["n"]: r for r in (caller.hear(), caller.hear())}
    assert replies[22]["ok"]
    assert replies[21]["why_blocked"] == "spent"
    assert replies[21]["waiting_helps"] is False


def test_a_top_up_and_a_time_out_answer_waiters(running: Running) -> None:
    caller = Caller(running.home)
    caller.budget("customer=*", HOLD)
    caller.reserve("t0")
    caller.send(**reserve_frame("t1", n=31, wait_ms=60_000))
    caller.send(
        n=32, op="budget.topup", scope="customer=acme", per="total", unit="dollars", amount=HOLD
    )
    assert sorted((caller.hear()["n"], caller.hear()["n"])) == [31, 32]
    late = caller.reserve("t2", n=33, wait_ms=30)
    assert (late["n"], late["why_blocked"]) == (33, "in_flight")


def test_a_disconnect_cancels_a_waiter(running: Running) -> None:
    caller = Caller(running.home)
    caller.budget("global", HOLD)
    caller.reserve("d0")
    gone = Caller(running.home)
    gone.send(**reserve_frame("d1", wait_ms=60_000))
    eventually(lambda: caller.ask(n=1, op="status")["waiters"] == 1, "it waits")
    gone.close()
    eventually(lambda: caller.ask(n=1, op="status")["waiters"] == 0, "it is cancelled")
    caller.ask(n=1, op="void", call="d0")
    assert caller.ask(n=1, op="status")["open_holds"] == 0


def test_the_first_uncapped_call_does_not_take_everything(running: Running) -> None:
    caller = Caller(running.home)
    caller.budget("global", 10 * HOLD)
    uncapped = {"wanted": None, "floor": 100, "choices": 1, "clamp": True}
    replies = [caller.reserve(f"f{i}", output=uncapped) for i in range(4)]
    assert replies[0]["hold_nano"] <= 10 * HOLD // 2
    assert min(reply["granted"] for reply in replies) >= 100
    assert caller.account("global per total")["held"] <= 10 * HOLD


def test_refine_asks_for_the_text_only_when_it_matters(running: Running) -> None:
    caller = Caller(running.home)
    text = "hello world " * 400
    size = {"bytes": len(text), "expanded": len(text), "overhead": 0}
    assert caller.reserve("x0", input=size, refined=False)["bound"] == "bytes"
    caller.ask(n=1, op="void", call="x0")
    caller.budget("global", 900_000)
    refine = caller.reserve("x1", input=size, refined=False)
    assert (refine["error"], refine["by"]) == ("refine", "text")
    counted = caller.reserve("x1", input=size, refined=False, texts={"texts": [text]})
    assert (counted["ok"], counted["bound"]) == (True, "exact")
    content = b"".join(p.read_bytes() for p in running.home.iterdir() if p.is_file())
    assert b"hello world" not in content


@pytest.mark.parametrize("model", ["deepseek-v4-flash", "groq/openai/gpt-oss-20b"])
def test_models_beyond_openai_are_counted_exactly_as_well(running: Running, model: str) -> None:
    """Goal: the daemon has the ranks that ship: a call that fits by its exact count goes."""
    caller = Caller(running.home)
    text = "hello world " * 2000
    size = {"bytes": len(text), "expanded": len(text), "overhead": 0}
    terms = {"model": model, "input": size, "refined": False}
    terms["output"] = {"wanted": 1, "floor": 1, "choices": 1, "clamp": False}
    by_bytes = caller.reserve("m0", **terms)
    assert by_bytes["bound"] == "assumed"
    caller.ask(n=1, op="void", call="m0")
    caller.budget("global", by_bytes["hold_nano"] // 2)
    assert caller.reserve("m1", **terms)["by"] == "text"
    counted = caller.reserve("m1", **terms, texts={"texts": [text]})
    assert (counted["ok"], counted["bound"]) == (True, "assumed")
    # The template that the server puts around the text is allowed for, as in the bound by bytes.
    share = by_bytes["hold_nano"] * TEMPLATE_TOKENS // (len(text) + TEMPLATE_TOKENS + 1)
    assert counted["hold_nano"] > share
    # It is no proof, so a bill above it raises the factor; only a ceiling would claim nothing.
    caller.ask(n=2, op="settle", call="m1", usage={"input": 10**5, "output": 1})
    caller.budget("global", 10**12)
    again = caller.reserve("m2", **{**terms, "refined": True})
    assert again["input_bound"] > 3 * by_bytes["input_bound"]


CHILD = """
import sys; sys.path[:0] = sys.argv[2:]
from pathlib import Path
from tests.daemon.parts import Caller
caller = Caller(Path(sys.argv[1]))
assert caller.reserve("o1")["ok"]
sys.stdout.write("held\\n"); sys.stdout.flush()
sys.stdin.read()
"""


@pytest.mark.parametrize("restart", [False, True])
def test_the_holds_of_a_dead_process_are_charged_once(running: Running, restart: bool) -> None:
    caller = Caller(running.home)
    caller.budget("global", 10 * HOLD)
    root = str(Path(__file__).resolve().parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(running.home), root, f"{root}/daemon"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == b"held\n"
    assert caller.account("global per total")["held"] == HOLD
    if restart:
        running.kill()
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    if restart:
        running.start()
        caller = Caller(running.home)
    eventually(lambda: caller.account("global per total")["held"] == 0, "it is charged")
    assert caller.account("global per total")["settled"] == HOLD
    assert states(running.home) == {"o1": "orphaned"}
    assert caller.settle("o1")["state"] == "settled"
    assert caller.account("global per total")["settled"] == 6_000


def test_a_run_has_a_limit_of_its_own_and_tells_its_watchers(running: Running) -> None:
    caller = Caller(running.home)
    limit = {"unit": "dollars", "amount": HOLD}
    assert caller.ask(n=1, op="run.start", run="r1", attrs={"project": "p"}, limit=limit)["ok"]
    caller.ask(n=1, op="run.start", run="r1/r2", attrs={}, limit=None)
    watcher = Caller(running.home)
    assert watcher.ask(n=1, op="run.watch", run="r1")["ok"]
    assert caller.reserve("n1", attrs={"run": "r1/r2"})["ok"]
    blocked = caller.reserve("n2", attrs={"run": "r1"})
    assert (blocked["error"], blocked["budget"]) == ("blocked", "run=r1 per run")
    event = watcher.hear()
    assert (event["event"], event["run"], event["call"]) == ("blocked", "r1", "n2")
    assert caller.reserve("n3", attrs={"run": "r9"})["ok"]
    assert caller.ask(n=1, op="run.end", run="r1", exit_code=0)["ok"]
    assert caller.reserve("n4", attrs={"run": "r1"})["error"] == "stopped"


def test_a_new_budget_starts_with_what_was_spent_and_is_held(running: Running) -> None:
    caller = Caller(running.home)
    caller.reserve("p1")
    caller.settle("p1")
    caller.reserve("p2")
    caller.reserve("p3", attrs={})
    caller.budget("customer=*", HOLD)
    account = caller.account("customer=acme per total")
    assert (account["settled"], account["held"]) == (6_000, HOLD)
    assert caller.reserve("p4")["error"] == "blocked"
    assert caller.reserve("p5", attrs={})["error"] == "blocked"  # (none) has the same limit


def test_garbage_never_ends_the_daemon(running: Running) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    valid = json.dumps(reserve_frame("g1")).encode()
    for _ in range(60):
        caller = Caller(running.home, hello=chance.random() < 0.8)
        junk = bytearray(valid) if chance.random() < 0.7 else bytearray(chance.randbytes(200))
        for _ in range(chance.randrange(6)):
            junk[chance.randrange(len(junk))] = chance.randrange(256)
        caller.socket.sendall(bytes(junk) + b"\n")
        caller.close()
    assert Caller(running.home).ask(n=1, op="status")["ok"], f"seed {seed}"


def test_bad_frames_are_told(running: Running) -> None:
    caller = Caller(running.home)
    assert caller.ask(n=5, op="settle", call="x", usage={"inptu": 1})["error"] == "bad_frame"
    assert caller.ask(n=6, op="budget.set", scope="custmer=x", per="day",
                      limit={"unit": "dollars", "amount": 1})["error"] == "bad_frame"  # fmt: skip
    caller.socket.sendall(b"no json\n")
    assert caller.hear()["error"] == "bad_frame"
    with pytest.raises(EOFError):
        caller.hear()
    silent = Caller(running.home, hello=False)
    assert silent.ask(n=1, op="status")["error"] == "bad_frame"
    other = Caller(running.home, hello=False)
    assert other.ask(n=1, op="hello", v=99)["error"] == "version"


def test_a_second_daemon_is_refused(running: Running) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "noburn_daemon", "--home", str(running.home)],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert second.returncode == 4
    assert "another daemon" in second.stderr
    assert Caller(running.home).ask(n=1, op="status")["ok"]


def test_files_are_private(running: Running) -> None:
    assert running.home.stat().st_mode & 0o777 == 0o700
    for name in ("daemon.sock", "ledger.sqlite3", "daemon.log", "daemon.lock"):
        assert (running.home / name).stat().st_mode & 0o077 == 0, name


def test_it_leaves_when_idle_and_drains_when_told() -> None:
    with tempfile.TemporaryDirectory(prefix="nb-", dir="/tmp") as folder:
        idle = Running(Path(folder), "--idle-exit-s", "0.1")
        idle.launch()  # Nobody may look whether it listens before it leaves.
        assert idle.finish() == 0
    with daemon() as told:
        caller = Caller(told.home)
        caller.budget("global", HOLD)
        caller.reserve("z1")
        caller.send(**reserve_frame("z2", n=9, wait_ms=60_000))
        eventually(lambda: Caller(told.home).ask(n=1, op="status")["waiters"], "it waits")
        assert told.stop() == 0
        assert caller.hear()["error"] == "draining"
        told.start()
        assert Caller(told.home).ask(n=1, op="status")["open_holds"] == 1


def test_nothing_acknowledged_is_lost_by_kill(running: Running) -> None:
    """Goal: after kill -9 at random moments the restored balances are what the journal says."""
    acknowledged: dict[str, str] = {}
    Caller(running.home).budget("customer=*", 10**12)
    for attempt in range(4):
        caller = Caller(running.home)
        assert caller.reserve(f"{attempt}-first")["ok"]
        acknowledged[f"{attempt}-first"] = "held"
        timer = threading.Timer(0.05 + random.random() * 0.3, running.kill)
        timer.start()
        try:
            for number in range(100_000):
                call = f"{attempt}-{number:06d}"
                if caller.reserve(call)["ok"]:
                    acknowledged[call] = "held"
                if number % 3:
                    caller.settle(call)
                    acknowledged[call] = "settled"
        except (OSError, EOFError):
            pass
        timer.join()
        running.start()
    running.kill()
    found = states(running.home)
    for call, state in acknowledged.items():
        assert state in (found[call], "held")
    restored, ledger = open_book(running.home / "ledger.sqlite3", START_MS)
    settled = sum(nano for _, _, nano, _, _ in ledger.ended(0))
    ledger.close()
    accounts = [v for k, v in balances(restored).items() if k.startswith("customer=acme")]
    assert [a[0] for a in accounts] == [settled]
    assert accounts[0][2] == sum(state == "held" for state in found.values())
    assert verified(running.home)


def mounted(folder: Path) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a tiny disk")
def test_a_full_disk_grants_nothing_and_is_got_over() -> None:
    home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    if not mounted(home):
        home.rmdir()
        pytest.skip("mounting is not permitted here")
    running = Running(home)
    try:
        running.start()
        caller = Caller(home)
        filler = home / "filler"
        granted = []
        word = ""
        filler.write_bytes(b"x" * 100_000)
        for number in range(20_000):
            reply = caller.reserve(f"k{number:05d}", attrs={"customer": f"c{number}"})
            if not reply["ok"]:
                word = reply["error"]
                break
            granted.append(reply["call"])
        assert word == "unknown"
        assert caller.reserve("k-more", attrs={"customer": "long" * 60})["error"] in (
            "unknown", "ledger",
        )  # fmt: skip
        assert any("not available" in w for w in caller.ask(n=1, op="status")["warnings"])
        filler.unlink()
        eventually(lambda: caller.reserve("k-after")["ok"], "it is written again")
        assert caller.ask(n=1, op="status")["open_holds"] == len(granted) + 1
        running.stop()
        assert set(states(home)) >= set(granted)
        assert verified(home)
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        subprocess.run(["umount", str(home)], check=False)
        shutil.rmtree(home, ignore_errors=True)
