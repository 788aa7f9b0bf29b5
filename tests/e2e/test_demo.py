"""`noburn demo`: it plays, it really checks what it promises, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from noburn_cli.demo.checks import Books, Check, RunBooks, check_books
from noburn_cli.demo.stage import own_name
from noburn_cli.demo.stub_bill import BilledCall
from noburn_cli.demo.voices import INSTALL_LINE

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")

#: Makes both SDKs look as if they were not installed, in every Python below.
WITHOUT_SDKS = 'import sys\nfor name in ("openai", "anthropic"):\n    sys.modules[name] = None\n'

#: A provider that adds a billionth of a dollar to every call.
BILL_IS_OFF = """
import noburn_cli.demo.stub_bill as stub_bill
right = stub_bill.price_nano
stub_bill.price_nano = lambda *given, **named: right(*given, **named) + 1
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # Short, for the demo makes its home in it and a socket's path has a limit.
    made = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def _demo(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Play it with everything that a person's own shell might hold, in the way."""
    in_the_way = {
        "OPENAI_API_KEY": "sk-the-persons-own",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/nowhere",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9/nowhere",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "NOBURN_HOME": str(folder / "the-persons-own"),
        "NOBURN_CUSTOMER": "somebody",
    }
    return subprocess.run(
        [sys.executable, "-m", "noburn_cli", "demo", *arguments],
        env={**os.environ, **in_the_way, "TMPDIR": str(folder), **more},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _promises(output: str) -> list[str]:
    return [line.strip() for line in output.splitlines() if line.startswith(("  ok ", "  FAILED"))]


def _flat(text: str) -> str:
    """On one line, and without the names that every run has of its own."""
    text = re.sub(r"\br[0-9a-f]{10}\b", "RUN", " ".join(text.split()))
    return re.sub(r"\b[0-9a-f]{11}-[0-9a-f]{20}\b", "CALL", text)


def _check_play(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout  # Plain in a pipe.
    promises = _promises(done.stdout)
    assert len(promises) == 10
    assert all(line.startswith("ok") for line in promises)
    assert "HTTP 402:" in done.stdout
    assert "call blocked: budget `run=" in done.stdout
    for command in ("estimate", "margin", "run --budget", "why", "report"):
        assert f"$ noburn {command}" in done.stdout


def test_it_plays_with_the_real_sdks_and_leaves_nothing(folder: Path) -> None:
    pytest.importorskip("openai")
    pytest.importorskip("anthropic")
    done = _demo(folder)
    _check_play(done)
    assert "anthropic.PaymentRequiredError" in done.stdout or "openai." in done.stdout
    assert INSTALL_LINE not in done.stdout
    shown = _flat(README.partition("```console")[2].partition("```")[0])
    stop, _, summary = shown.partition(" 8 claude")[2].partition("noburn: run RUN")
    assert f"8 claude{stop.rstrip()}" in _flat(done.stdout)
    assert f"noburn: run RUN{summary.partition(' …')[0]}" in _flat(done.stdout)
    assert list(folder.iterdir()) == []


def test_it_plays_without_the_sdks_and_says_so(folder: Path) -> None:
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(WITHOUT_SDKS)
    inherited = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(part for part in (str(hidden), inherited) if part)
    done = _demo(folder, "--keep", PYTHONPATH=path, NOBURN_COLUMNS="80")
    _check_play(done)
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    assert INSTALL_LINE in done.stdout
    kept = done.stdout.splitlines()[-1].removeprefix("kept: NOBURN_HOME=")
    assert (Path(kept) / "ledger.sqlite3").exists()


def test_a_bill_that_is_off_by_a_nano_dollar_fails_it(folder: Path) -> None:
    """Goal: the comparison at the end can fail, and then the exit code says so."""
    wrong = folder / "wrong"
    wrong.mkdir()
    (wrong / "sitecustomize.py").write_text(WITHOUT_SDKS + BILL_IS_OFF)
    inherited = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(part for part in (str(wrong), inherited) if part)
    done = _demo(folder, PYTHONPATH=path)
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in _promises(done.stdout) if line.startswith("FAILED")]
    assert [line.split("  ")[1] for line in failed] == [
        "our books = the provider's bill",
        "the same, call by call",
    ]
    assert [left.name for left in folder.iterdir()] == ["wrong"]


def test_its_last_line_can_be_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: after `make demo` no shell finds `noburn`, so the way to it is said."""
    script = folder / ".venv" / "bin" / "noburn"
    script.parent.mkdir(parents=True)
    script.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", str(folder))
    assert own_name() == ".venv/bin/noburn"
    monkeypatch.setenv("PATH", str(script.parent))
    assert own_name() == "noburn"


def _billed(call: str, nano: int) -> BilledCall:
    return BilledCall(
        request_id=call, api="openai_chat", model="m", variant="standard", usage={}, nano=nano,
        stream=False, at_ms=0,
    )  # fmt: skip


RUN = RunBooks(run="r1", limit_nano=100, charged_nano=70, settled=2, blocked=1, clamped=0)
BOOKS = Books(runs=(RUN,), settled=(("a", 30), ("b", 40)), open_calls=0)
BILL = [_billed("a", 30), _billed("b", 40)]


def _failed(checks: list[Check]) -> list[str]:
    return [check.says for check in checks if not check.holds]


def test_books_that_agree_pass() -> None:
    assert _failed(check_books(BOOKS, BILL)) == []


@pytest.mark.parametrize(
    ("books", "bill", "failing"),
    [
        (replace(BOOKS, runs=(replace(RUN, charged_nano=101),)), BILL, ["settled <= limit"]),
        (replace(BOOKS, runs=(replace(RUN, charged_nano=0),)), BILL, ["settled <= limit"]),
        (
            BOOKS,
            [_billed("a", 30), _billed("b", 41)],
            ["our books = the provider's bill", "the same, call by call"],
        ),
        (BOOKS, [_billed("a", 31), _billed("b", 39)], ["the same, call by call"]),
        (BOOKS, [*BILL, _billed("c", 0)], ["the same, call by call"]),
        (replace(BOOKS, open_calls=1), BILL, ["no call without its bill"]),
        (replace(BOOKS, settled=()), [], ["the same, call by call"]),
    ],
)
def test_each_promise_can_fail(books: Books, bill: list[BilledCall], failing: list[str]) -> None:
    assert _failed(check_books(books, bill)) == failing
