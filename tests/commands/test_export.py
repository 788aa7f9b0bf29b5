"""`noburn export` and `noburn ledger tail`: exact, whole after a kill, and live."""

from __future__ import annotations

import csv
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.errors import LedgerUnavailable, UsageError
from noburn_cli.export.columns import COLUMNS
from noburn_cli.export.job import Wanted, export, export_lines
from noburn_cli.export.writing import Lines
from tests.daemon.months import fill_months

ROOT = Path(__file__).resolve().parents[2]

#: Runs a command line and dies for good at the n-th step: before it is remembered, or after.
_DIES = """
import os, signal, sys
from noburn_cli import main
from noburn_cli.export import job, writing
job.steps.__globals__["STEP_ROWS"] = 100
left = int(sys.argv[1])
def dying(real):
    def step(*arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)
    return step
job._remember = dying(job._remember)
for sink in (writing.TextFile, writing.ParquetFile):
    sink.write = dying(sink.write)
sys.exit(main.main(sys.argv[2:]))
"""


def test_calls_as_csv_and_jsonl(filled: Any, tmp_path: Path) -> None:
    filled.said("export", "csv", "--output", str(tmp_path / "calls.csv"))
    with (tmp_path / "calls.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [column.name for column in COLUMNS["calls"]]
    by_call = {row["call"]: row for row in rows}
    assert {call: row["state"] for call, row in by_call.items()} == {
        "c1": "settled", "c2": "settled", "c3": "uncertain", "c4": "voided", "c5": "blocked",
        "c6": "refused", "c7": "orphaned", "c8": "held",
    }  # fmt: skip
    assert (by_call["c1"]["cost_usd"], by_call["c1"]["hold_usd"]) == ("0.0000585", "0.0001717")
    lines = filled.said("export", "jsonl").splitlines()
    assert [json.loads(line)["call"] for line in lines] == [row["call"] for row in rows]
    assert json.loads(lines[1])["tags"] == {"team": "x"}
    assert filled.said("export", "csv", "--since", "2030-01-01").count("\n") == 1
    journal = filled.said("export", "jsonl", "--what", "journal")
    seqs = [json.loads(line)["seq"] for line in journal.splitlines()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert [p.name for p in tmp_path.iterdir()] == ["calls.csv"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("export", "xml"), "No such command 'xml'"),
        (("export", "csv", "--what", "all"), "--what cannot be 'all'"),
        (("export", "parquet", "--output", "-"), "Parquet and --resume need a file"),
        (("export", "csv", "--since", "1h", "--until", "2h"), "--since is not before --until"),
        (("export", "jsonl", "--resume"), "Parquet and --resume need a file"),
        (("ledger", "export", "--format", "csv"), "`noburn ledger export` is `noburn export` now"),
    ],
)
def test_what_is_no_export(home: Any, arguments: tuple[str, ...], error: str) -> None:
    done = home.noburn(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert error in done.stderr


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    """Goal: an export takes the place of a file alone, and nothing is written without a ledger."""
    ledger, pipe, link = tmp_path / "ledger.sqlite3", tmp_path / "pipe", tmp_path / "link"
    wanted = Wanted("csv", "calls", None, None, None, None)
    out = io.StringIO()
    with pytest.raises(LedgerUnavailable):
        export_lines(ledger, wanted, Lines("csv", COLUMNS["calls"], out))
    assert out.getvalue() == ""

    def exported(target: Path) -> None:
        export(ledger, target, wanted, resume=False, tell=lambda *_: None)

    fill_months(ledger, calls=5)
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for target in (pipe, link, tmp_path):
        with pytest.raises(UsageError, match="no regular file") as refused:
            exported(target)
        assert "--output -" in str(refused.value.next_step)
    assert pipe.is_fifo()
    link.unlink()
    link.symlink_to(tmp_path / "file")
    (tmp_path / "file").write_text("before")
    exported(link)
    assert link.is_symlink()
    assert (tmp_path / "file").read_text().count("\n") == 6
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_a_killed_export_is_taken_up_without_a_gap(home: Any, tmp_path: Path, format_: str) -> None:
    """Goal: after SIGKILL at whatever step, what comes out is what an export in one go writes."""
    parquet = pytest.importorskip("pyarrow.parquet") if format_ == "parquet" else None
    fill_months(home.ledger, calls=450)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    home.said("export", format_, "--output", str(whole))
    command = ["export", format_, "--output", str(cut), "--resume"]
    for steps in (0, 1, 2, 5):  # in the first write, before it is remembered, in the second …
        done = subprocess.run(
            [sys.executable, "-c", _DIES, str(steps), *command],
            env=home.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not cut.exists()
    changed = home.noburn(*command, "--what", "journal")
    assert (changed.returncode, "is of another export" in changed.stderr) == (2, True)
    done = home.noburn(*command)
    assert "exported 450 calls" in done.stderr, done.stderr
    if parquet is None:
        assert cut.read_bytes() == whole.read_bytes()
        assert len(set(cut.read_text().splitlines())) == 450 + (format_ == "csv")
    else:
        table = parquet.read_table(cut)
        assert table.equals(parquet.read_table(whole))
        assert str(table.schema.field("cost_usd").type) == "decimal128(38, 9)"
        assert sum(table["cost_usd"].to_pylist()) == 450 * Decimal("0.000008")
    assert {p.name for p in tmp_path.iterdir()} == {"whole", "cut"}


def test_an_export_is_quiet_on_a_broken_pipe(home: Any) -> None:
    fill_months(home.ledger, calls=3_000)
    with subprocess.Popen(
        [sys.executable, "-m", "noburn_cli", "export", "csv"],
        env=home.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("seq,call")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 128 + 13


def test_tail_shows_rows_as_they_are_committed(filled: Any, reserve: Any) -> None:
    """Goal: following goes on over calls and over a file that is made anew."""
    shown = filled.said("ledger", "tail", "-n", "2", "--kind", "settle")
    assert [line.split()[2] for line in shown.splitlines()] == ["settle", "settle"]
    assert "customer=acme" in shown
    assert "blocked" in filled.said("ledger", "tail", "-n", "50", "--customer", "globex")
    with subprocess.Popen(
        [sys.executable, "-m", "noburn_cli", "ledger", "tail", "--follow", "--json", "-n", "0",
         "--kind", "void", "--kind", "budget_set"],
        env=filled.environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        lines: queue.Queue[str] = queue.Queue()
        assert process.stdout is not None
        threading.Thread(target=lambda: [lines.put(line) for line in process.stdout]).start()
        seen: list[tuple[str, str | None]] = []

        def until(wanted: tuple[str, str | None]) -> None:
            number = 0
            while wanted not in seen:
                with filled.client() as client:  # it may not have begun to look
                    assert client.reserve(reserve(f"{wanted[1]}-{number}"))["ok"]
                    client.void(f"{wanted[1]}-{number}", reason="connection refused")
                number += 1
                try:
                    entry = json.loads(lines.get(timeout=1))
                except queue.Empty:
                    continue
                seen.append((entry["kind"], (entry["call"] or "").partition("-")[0]))

        until(("void", "n1"))
        filled.said("ledger", "forget", "customer=globex")
        until(("void", "n2"))
        process.terminate()
