"""`noburn estimate` on inputs that are not worth holding: streamed, exact, interruptible."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from noburn_cli import big_inputs, estimating, inputs, ranks
from noburn_cli.core.bounds import CLAUDE
from noburn_cli.core.claude_bound import tokens_max
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.estimating import Job
from noburn_cli.prices import load_book
from noburn_cli.render.progress import Progress

ROOT = Path(__file__).parent.parent.parent
MODEL = """
[[model]]
name = "{name}"
provider = "test"
family = "text"
tokenizer = "{tokenizer}"
context_window = 1000000000
output_max = 100
cache_writes = "as_input"
[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = 1
output = 10
"""
TOKENIZERS = {"o200k": "o200k_base", "cl100k": "cl100k_base", "deep": "deepseek_v3"}
PRICES = "format = 1\n" + "".join(
    MODEL.format(name=name, tokenizer=tokenizer)
    for name, tokenizer in {
        **TOKENIZERS,
        "claude-like": CLAUDE,
        "bytes-like": "bytes",
        "llama-like": "llama3",
    }.items()
)
TEXTS: dict[str, str] = json.loads(
    (ROOT / "tests" / "corpus" / "tokens_texts.json").read_text(encoding="utf-8")
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    return {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
        "NOBURN_PRICES": str(prices),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def small_big(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs are large from 2 kB on, and come in blocks of 100 bytes."""
    monkeypatch.setattr(inputs, "BIG_BYTES", 2000)
    monkeypatch.setattr(big_inputs, "BLOCK_BYTES", 100)


def estimated(book: PriceBook, found: inputs.Inputs, *names: str) -> list[Any]:
    job = Job(
        book=book, names=names, compare=False, output=None, calls=1, ask_provider=False,
        at_ms=1_796_000_000_000, progress=Progress(None),
    )  # fmt: skip
    return job.estimate_all(found)


@pytest.fixture
def book(environment: dict[str, str]) -> PriceBook:
    return load_book(environment)


@pytest.mark.usefixtures("small_big")
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_a_streamed_text_counts_as_the_whole(source: str, book: PriceBook, tmp_path: Path) -> None:
    """Goal: exact for every encoding, with characters split between blocks and long runs."""
    text = "".join(TEXTS.values()) + " " * 3000 + "=" * 3000 + "\n" + TEXTS["emoji"]
    data = text.encode()
    path = tmp_path / "big.txt"
    path.write_bytes(b"\xef\xbb\xbf" + data)
    name = str(path) if source == "file" else "-"
    found = inputs.read_inputs([name], io.BytesIO(data))
    assert found.items[0].big is not None
    assert found.items[0].call.texts == ()
    rows = {row.model: row for row in estimated(book, found, *TOKENIZERS, "bytes-like")}
    for model, encoding in TOKENIZERS.items():
        count = ranks.count(encoding, text)
        assert (rows[model].input_tokens.low, rows[model].how) == (count, "exact")
        assert rows[model].input_tokens.high == count
    assert rows["bytes-like"].how == ""
    assert rows["bytes-like"].bound_tokens >= len(data)


@pytest.mark.usefixtures("small_big")
def test_a_streamed_text_keeps_claudes_bound(book: PriceBook, tmp_path: Path) -> None:
    text = (TEXTS["prose"] + TEXTS["arabic"]) * 3
    (tmp_path / "big.txt").write_text(text, encoding="utf-8")
    found = inputs.read_inputs([str(tmp_path / "big.txt")], io.BytesIO())
    (row,) = estimated(book, found, "claude-like")
    assert tokens_max(text) <= row.bound_tokens <= tokens_max(text) * 1.2


@pytest.mark.usefixtures("small_big")
def test_lines_of_requests_are_streamed(book: PriceBook, tmp_path: Path) -> None:
    """Goal: the same sums as from memory; a bad line is named with its number."""
    request = {"model": "o200k", "messages": [{"role": "user", "content": TEXTS["prose"]}]}
    lines = [json.dumps({**request, "max_tokens": n}) for n in range(1, 40)]
    path = tmp_path / "requests.jsonl"
    path.write_text("\n\n".join([*lines, "{not json"]) + "\n")
    found = inputs.read_inputs([str(path)], io.BytesIO())
    (row,) = estimated(
        book,
        found,
    )
    held = inputs.Inputs(items=inputs.request_items("held", "\n".join(lines)) or [])
    (expected,) = estimated(book, held)
    assert row.requests == expected.requests == 39
    assert (row.input_tokens, row.worst) == (expected.input_tokens, expected.worst)
    assert [p.message for p in found.problems] == [f"{path}:79: this is not a request"]


@pytest.mark.usefixtures("small_big")
def test_what_is_no_text_is_refused_wherever_it_shows(book: PriceBook, tmp_path: Path) -> None:
    """Goal: the byte is named by its place in the file; nothing is priced; other inputs are."""
    path = tmp_path / "latin.txt"
    path.write_bytes(b"word " * 700 + "é".encode() + b"\xe9 end")
    (tmp_path / "binary").write_bytes(b"\x00" * 5000)
    (tmp_path / "utf16").write_bytes("x".encode("utf-16") * 2000)
    (tmp_path / "good").write_text("hello")
    names = [str(tmp_path / name) for name in ("latin.txt", "binary", "utf16", "good")]
    found = inputs.read_inputs(names, io.BytesIO())
    rows = estimated(book, found, "o200k")
    assert [row.source for row in rows] == [names[3]]
    messages = {p.message.removeprefix(f"{tmp_path}/"): p.why for p in found.problems}
    assert set(messages) == {"latin.txt is not UTF-8", "binary is binary", "utf16 is UTF-16"}
    assert messages["latin.txt is not UTF-8"] == "byte 3502 (0xe9) cannot stand there"


@pytest.mark.usefixtures("small_big")
def test_one_large_document_is_still_one_request(book: PriceBook, tmp_path: Path) -> None:
    body = {"model": "o200k", "messages": [{"role": "user", "content": "word " * 2000}]}
    (tmp_path / "request.json").write_text(json.dumps(body, indent=1))
    found = inputs.read_inputs([str(tmp_path / "request.json")], io.BytesIO())
    assert [item.big for item in found.items] == [None]
    assert estimated(book, found)[0].requests == 1


def test_a_run_without_a_place_to_cut_is_a_range(
    book: PriceBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_big: None
) -> None:
    """Goal: bounded work on one huge word, and then no claim to be exact."""
    monkeypatch.setattr(estimating, "RUN_CHARACTERS_MAX", 500)
    text = "x" * 5000
    (tmp_path / "word").write_text(text)
    found = inputs.read_inputs([str(tmp_path / "word")], io.BytesIO())
    (row,) = estimated(book, found, "o200k")
    assert row.how == "assumed"
    assert row.input_tokens.low <= ranks.count("o200k_base", text) <= row.input_tokens.high


NOBURN = [sys.executable, "-m", "noburn_cli", "estimate"]


def test_without_the_extra_a_model_is_bounded_and_the_extra_named(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Goal: a missing package is no error: a bound, called what it is, and what would help."""
    (tmp_path / "shadow" / "llama_models").mkdir(parents=True)
    (tmp_path / "shadow" / "llama_models" / "__init__.py").touch()
    (tmp_path / "prompt").write_text("hello world")
    environment["PYTHONPATH"] = f"{tmp_path / 'shadow'}:{ROOT}"
    done = subprocess.run(
        [*NOBURN, "prompt", "--model", "llama-like", "--json"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (row,) = json.loads(done.stdout)["data"]["estimates"]
    assert (row["counted"], row["input_tokens_max_how"]) == (None, "assumed")
    assert (
        "`llama-like` can be counted exactly: pip install 'noburn-cli[tokenizers]'" in done.stderr
    )


def test_interrupted_it_says_how_far_it_came(environment: dict[str, str]) -> None:
    """Goal: Ctrl-C ends it with 130 and the part that was counted, without a traceback."""
    process = subprocess.Popen(
        [*NOBURN, "-", "--model", "cl100k"], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stderr is not None
    assert process.stdout is not None
    # Once all of this is taken, more than the head was read, so that counting has begun.
    process.stdin.write(b"word " * (big_inputs.BIG_BYTES // 5 + 40_000))
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    process.stdin.write(b"x")  # Whatever it was doing, it comes back from reading.
    process.stdin.flush()
    code = process.wait(timeout=120)
    error = process.stderr.read().decode()
    assert (code, process.stdout.read()) == (130, b"")
    assert error.startswith("interrupted: ")
    assert "MB of standard input were read, nothing was priced" in error
    assert "tokens by cl100k_base" in error
    assert "Traceback" not in error
    process.stdin.close()
    process.stderr.close()
    process.stdout.close()


def peak_kb(environment: dict[str, str], path: Path) -> int:
    """The most memory of a child that estimates a file."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-c", code, *NOBURN, str(path), "--model", "bytes-like"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout.splitlines()[-1])


def test_memory_does_not_grow_with_the_input(environment: dict[str, str], tmp_path: Path) -> None:
    line = b"word " * 200 + b"\n"
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(line * 9_000)
    large.write_bytes(line * 36_000)
    grown = peak_kb(environment, large) - peak_kb(environment, small)
    assert grown * 1024 < (large.stat().st_size - small.stat().st_size) / 2


class Terminal(io.StringIO):
    """What a terminal was sent."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar() -> None:
    """Goal: on a terminal a bar with megabytes; without a total, megabytes alone."""
    terminal = Terminal()
    for total in (200, 0):
        progress = Progress(terminal).within(total, "MB of big.txt counted")
        progress._next_s = time.monotonic()
        progress.reach(50)
        progress.end()
    shown = terminal.getvalue()
    assert "[######..................] 50 of 200 MB of big.txt counted" in shown
    assert "\x1b[K50 MB of big.txt counted" in shown
