"""`noburn estimate`, end to end: real files, real processes, a real counting server."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.warm import run_noburn

ROOT = Path(__file__).parent.parent.parent
PRICES = """
format = 1
[[model]]
name = "test-exact"
provider = "openai"
family = "text"
tokenizer = "o200k_base"
context_window = 1000
output_max = 100
cache_writes = "as_input"
[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = 1
output = 10
[[model.rate]]
variant = "batch"
starts_on = 1970-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = 0.5
output = 5
[[model]]
name = "test-claude"
provider = "anthropic"
family = "text"
tokenizer = "claude"
context_window = 2000
output_max = 100
cache_writes = "as_input"
[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = 2
output = 20
"""


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)["data"]


@pytest.fixture
def estimate(tmp_path: Path) -> Any:
    prices = tmp_path.parent / f"{tmp_path.name}-prices.toml"
    prices.write_text(PRICES, encoding="utf-8")

    def run(*arguments: str, stdin: bytes = b"", **variables: str) -> Outcome:
        done = run_noburn(
            ["estimate", *arguments],
            input=stdin,
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path.parent),
                "PYTHONPATH": str(ROOT),
                "NOBURN_PRICES": str(prices),
                "TIKTOKEN_CACHE_DIR": "/nonexistent",
                **variables,
            },
            text=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def chat(model: str = "test-exact", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello world"}], **more}


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_a_text_on_one_model(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    got = estimate("a.txt", "--model", "test-exact", "--out-tokens", "10-20", "--calls", "1k")
    assert (got.code, got.err) == (0, "")
    assert got.out == (
        "INPUT  REQUESTS  MODEL       TOKENS  COUNTED  WINDOW         EXPECTED  WORST CASE\n"
        "a.txt         1  test-exact       2  exact     0.2 %  $0.1020–$0.2020     $1.0180\n"
        "\n"
        "Worst case: the input's bound and the most output that the request allows."
        " Costs are for 1,000 calls of each request.\n"
    )


def test_data_is_exact(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    got = estimate("a.txt", "--model", "test-exact", "--out-tokens", "10-20", "--json")
    assert (got.code, got.err) == (0, "")
    (one,) = got.data["estimates"]
    assert one["input_tokens"] == {"low": 2, "high": 2}
    assert one["counted"] == one["input_tokens_max_how"] == "exact"
    assert one["cost"] == {"low": "0.000102", "high": "0.000202"}
    assert one["cost_includes_output"] is True
    # The frame of a chat is in the worst case: 2 + 16 tokens in, the model's 100 out.
    assert (one["input_tokens_max"], one["worst_cost"]) == (18, "0.001018")
    assert one["window_share"] == 0.002


def test_without_expected_output_nothing_is_invented(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    got = estimate("a.txt", "--model", "test-exact")
    assert "INPUT COST" in got.out
    assert "--out-tokens" in got.out
    (one,) = estimate("a.txt", "--model", "test-exact", "--json").data["estimates"]
    assert (one["cost"]["low"], one["cost_includes_output"]) == ("0.000002", False)
    assert one["output_tokens"] is None


def test_without_a_model_one_row_per_provider(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    rows = estimate("a.txt", "--json").data["estimates"]
    assert [row["provider"] for row in rows] == ["openai", "anthropic", "google"]
    assert [row["counted"] for row in rows] == ["exact", "estimated", "estimated"]
    for row in rows[1:]:  # The error is part of the answer.
        error = row["input_tokens_error"]
        assert 0 < error["median"] < error["p95"] < error["worst"]
        assert (error["measured_on"], error["texts"] > 300) == ("2026-11-27", True)


def test_no_tokeniser_is_loaded_where_none_counts(estimate: Any, tmp_path: Path) -> None:
    """Goal: who asks for a model without a tokeniser here does not pay for tiktoken."""
    (tmp_path / "tiktoken.py").write_text("raise SystemExit('tiktoken was imported')")
    got = estimate(
        "-", "--model", "codestral-2508", stdin=b"x" * 100, PYTHONPATH=f"{tmp_path}:{ROOT}"
    )
    assert (got.code, got.err) == (0, "")
    seen = estimate("-", "--model", "test-exact", stdin=b"x", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert "tiktoken was imported" in seen.err


def test_an_offline_estimate_says_how_far_off_it_may_be(estimate: Any) -> None:
    """Goal: a range is never taken for a count, and its width is the error that was measured."""
    got = estimate("-", "--model", "test-claude", stdin=b"Count me, please. " * 60)
    assert "estimated, test-claude: \u00b114.2 % for 95 of 100 texts" in got.out
    assert "measured on 2026-11-27 against ctok 1.3.0" in got.out


def test_a_request_whose_model_the_url_names_is_one(estimate: Any, tmp_path: Path) -> None:
    """Goal: an image in a body of Gemini's is no text of its Base64."""
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoAAAANSUhEUgAABAAAAAMA"}}
    body = {"contents": [{"parts": [{"text": "hi"}, image]}]}
    (tmp_path / "gemini.json").write_text(json.dumps(body))
    (one,) = estimate("gemini.json", "--model", "gemini-3.8-flash", "--json").data["estimates"]
    assert one["input_tokens"]["low"] > 1_100
    assert one["input_tokens_max"] > 2_240
    said = [{"role": "user", "content": [{"text": "hi"}]}]
    body = {"modelId": "amazon.nova-lite-v1:0", "messages": said}
    (tmp_path / "bedrock.json").write_text(json.dumps(body))
    (one,) = estimate("bedrock.json", "--json").data["estimates"]
    assert one["model"] == "bedrock/amazon.nova-lite-v1:0"
    (tmp_path / "data.json").write_text(json.dumps({"contents": ["a", "b"]}))
    assert estimate("data.json", "--model", "test-exact").code == 0


def test_a_count_is_offered_where_somebody_counts(estimate: Any) -> None:
    """Goal: Cohere has no count to ask for; what is said of the words holds for it, too."""
    got = estimate("-", "--model", "cohere/command-r-08-2024", stdin=b"Count me, please.")
    assert "only the most is known for this tokeniser.\n" in got.out
    assert "--count" not in got.out


def test_several_inputs_have_totals(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    (tmp_path / "b.txt").write_text("hello")
    data = estimate("*.txt", "--model", "test-exact", "--json").data
    assert [row["source"] for row in data["estimates"]] == ["a.txt", "b.txt"]
    (total,) = data["totals"]
    assert (total["source"], total["input_tokens"]["low"], total["requests"]) == ("total", 3, 2)


def test_a_folder_names_what_it_leaves_out(estimate: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.md").write_text("hello")
    (folder / ".env").write_text("hello")
    (folder / "b.png").write_bytes(b"\x89PNG\x00\x00")
    got = estimate("in", "--model", "test-exact", "--json")
    assert (got.code, len(got.data["estimates"])) == (0, 1)
    assert got.err == "note: in/.env: hidden, left out\nnote: in/b.png: binary, left out\n"


def test_bad_inputs_are_named_and_the_others_counted(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("hello world")
    (tmp_path / "binary").write_bytes(b"\x00\x01")
    (tmp_path / "latin").write_bytes("Grüße".encode("latin-1"))
    (tmp_path / "utf16").write_bytes("hello".encode("utf-16"))
    (tmp_path / "long").write_text("word " * 1001)
    names = ("binary", "latin", "utf16", "gone", "long", "good.txt")
    got = estimate(*names, "--model", "test-exact", "--json")
    assert got.code == 1
    assert [row["source"] for row in got.data["estimates"]] == ["good.txt"]
    errors = [line for line in got.err.splitlines() if line.startswith("error: ")]
    assert errors == [
        "error: binary is binary",
        "error: latin is not UTF-8",
        "error: utf16 is UTF-16",
        "error: gone does not exist",
        "error: long does not fit `test-exact`: 1,002 tokens",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)
    got = estimate("secret", "--model", "test-exact")
    assert (got.code, got.err.splitlines()[0]) == (1, "error: secret cannot be read")


def test_a_link_that_leads_nowhere_is_named(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    got = estimate("loop", "--model", "test-exact")
    assert (got.code, got.err.splitlines()[0]) == (1, "error: loop cannot be read")


def test_a_pipe_is_refused_instead_of_waited_for(estimate: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got = estimate("pipe", "--model", "test-exact")
    assert (got.code, got.err.splitlines()[0]) == (1, "error: pipe is not a file")


def test_a_request_is_priced_on_its_own_model_and_cap(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(chat(max_completion_tokens=7, n=2)))
    (one,) = estimate("r.json", "--json").data["estimates"]
    assert (one["model"], one["output_tokens_max"]) == ("test-exact", 14)
    assert one["input_tokens_max"] > one["input_tokens"]["low"]


def test_requests_in_lines_with_a_bad_one_between(estimate: Any, tmp_path: Path) -> None:
    good = json.dumps(chat())
    (tmp_path / "r.jsonl").write_text(f"{good}\nnot json\n{json.dumps(chat('nobody'))}\n{good}\n")
    got = estimate("r.jsonl", "--json")
    assert got.code == 1
    assert [row["requests"] for row in got.data["estimates"]] == [2]
    assert "error: r.jsonl:2: this is not a request" in got.err
    assert "error: r.jsonl:3: the price book has no model `nobody`" in got.err


def test_a_batch_costs_the_batch_price(estimate: Any, tmp_path: Path) -> None:
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": chat()}
    (tmp_path / "batch.jsonl").write_text(lines(line, line))
    (tmp_path / "plain.jsonl").write_text(lines(chat(), chat()))
    batch, plain = estimate("batch.jsonl", "plain.jsonl", "--json").data["estimates"]
    assert float(batch["worst_cost"]) * 2 == pytest.approx(float(plain["worst_cost"]))


def test_anthropic_requests_are_recognised(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(
        json.dumps(chat("test-claude", max_tokens=5, system="Be brief"))
    )
    (one,) = estimate("r.json", "--json").data["estimates"]
    assert (one["model"], one["counted"], one["output_tokens_max"]) == (
        "test-claude",
        "estimated",
        5,
    )
    assert one["input_tokens_max_how"] == "bytes"


def test_compare_ranks_what_fits(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 1500)
    got = estimate("a.txt", "--compare", "--out-tokens", "50", "--json")
    rows = got.data["estimates"]
    assert got.code == 0
    assert "test-exact" not in [row["model"] for row in rows]
    assert "test-exact" in got.err
    costs = [float(row["cost"]["high"]) for row in rows if row["cost"]]
    assert len(costs) > 10
    assert costs == sorted(costs)


def test_max_cost(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    text = ("a.txt", "--model", "test-exact", "--max-cost", "0.0005")
    over = estimate(*text)
    assert over.code == 3
    assert over.out  # The whole report comes before the exit code.
    assert "the worst case on `test-exact` is $0.001018, above --max-cost $0.0005" in over.err
    assert estimate(*text, "--out-tokens", "10").code == 0
    assert "the expected cost" in estimate(*text, "--out-tokens", "90").err


def test_max_cost_is_of_all_that_is_sent(estimate: Any, tmp_path: Path) -> None:
    """Goal: requests to several models are one bill; models that one is chosen of are not."""
    both = lines(chat(max_tokens=10), chat("test-claude", max_tokens=10))
    (tmp_path / "r.jsonl").write_text(both)
    data = estimate("r.jsonl", "--json").data
    each = [float(row["worst_cost"]) for row in data["estimates"]]
    assert float(data["all"]["worst_cost"]) == pytest.approx(sum(each))
    over = estimate("r.jsonl", "--max-cost", f"{sum(each) - 1e-7:.7f}")
    assert over.code == 3
    assert "the worst case on 2 models together is" in over.err
    assert "total           2  2 models" in over.out
    (tmp_path / "a.txt").write_text("hello world")
    chosen = ("a.txt", "--model", "test-exact", "--model", "test-claude")
    either = estimate(*chosen, "--max-cost", "0.0025", "--json")
    assert (either.code, either.data["all"]) == (0, None)
    assert sum(float(row["worst_cost"]) for row in either.data["estimates"]) > 0.0025
    # Whichever is chosen is paid beside those that are not.
    beside = estimate("r.jsonl", "a.txt", "--max-cost", f"{sum(each) + 1e-7:.7f}")
    assert beside.code == 3
    assert beside.out.count("total") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--out-tokens", "9-3"),
        ("--out-tokens", "many"),
        ("--calls", "0"),
        ("--max-cost", "2M"),
        ("--compare", "--model", "test-exact"),
        ("--region", "a b"),
    ],
)
def test_wrong_usage(estimate: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "a.txt").write_text("hello")
    got = estimate("a.txt", *arguments)
    assert (got.code, got.out) == (2, "")


def test_an_unknown_model_is_never_free(estimate: Any) -> None:
    got = estimate("-", "--model", "test-exakt", stdin=b"hello")
    assert (got.code, got.out) == (1, "")
    assert "test-exact" in got.err


class Counter(BaseHTTPRequestHandler):
    """Counts 42, and remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any], str | None]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["x-api-key"] or self.headers["authorization"].removeprefix("Bearer ")
        self.asked.append((self.path, body, key))
        answer = b'{"input_tokens": 42, "object": "response.input_tokens"}'
        self.send_response(200 if "broken" not in self.path else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def counter() -> Iterator[str]:
    Counter.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counter)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_provider_s_count(estimate: Any, counter: str) -> None:
    text = ("-", "--model", "test-claude", "--model", "test-exact", "--count", "--json")
    variables = {
        "ANTHROPIC_BASE_URL": counter, "ANTHROPIC_API_KEY": "k1",
        "OPENAI_BASE_URL": f"{counter}/v1", "OPENAI_API_KEY": "k2",
    }  # fmt: skip
    got = estimate(*text, stdin=b"hello", **variables)
    assert (got.code, got.err) == (0, "")
    for row in got.data["estimates"]:
        assert (row["counted"], row["input_tokens"]["low"]) == ("counted", 42)
        assert row["input_tokens_max"] == 42
    asked = {path: (body["model"], key) for path, body, key in Counter.asked}
    assert asked == {
        "/v1/messages/count_tokens": ("test-claude", "k1"),
        "/v1/responses/input_tokens": ("test-exact", "k2"),
    }


def test_a_count_that_fails_is_a_warning(estimate: Any, counter: str) -> None:
    text = ("-", "--model", "test-claude", "--count")
    broken = estimate(
        *text, stdin=b"hello", ANTHROPIC_BASE_URL=f"{counter}/broken", ANTHROPIC_API_KEY="secret"
    )
    assert broken.code == 0
    assert "not counted by the provider" in broken.err
    assert "answered 500" in broken.err
    assert "estimated" in broken.out
    assert "ANTHROPIC_API_KEY is not set" in estimate(*text, stdin=b"hello").err
    assert "secret" not in broken.err + broken.out


RETIRED = PRICES.replace(
    'name = "test-exact"', 'name = "test-gone"\nretires_on = 2026-01-01'
).split('[[model]]\nname = "test-claude"')[0]


def test_retired_models_are_left_out_unless_named(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    prices = tmp_path / "gone.toml"
    prices.write_text(RETIRED, encoding="utf-8")
    compared = estimate("a.txt", "--compare", "--json", NOBURN_PRICES=str(prices))
    models = [row["model"] for row in compared.data["estimates"]]
    assert "gpt-6-luna" in models
    assert "test-gone" not in models
    assert "models were left out: their provider has switched them off" in compared.err
    named = estimate("a.txt", "--model", "test-gone", NOBURN_PRICES=str(prices))
    assert (named.code, "test-gone" in named.out) == (0, True)
    assert named.err == ("warning: `test-gone` was switched off by its provider on 2026-01-01\n")


def test_a_request_s_frame_is_in_the_cost(estimate: Any, tmp_path: Path) -> None:
    """Goal: what is said before the call is what is on the bill."""
    (tmp_path / "r.json").write_text(json.dumps(chat()))
    (one,) = estimate("r.json", "--json").data["estimates"]
    assert one["input_tokens"] == {"low": 9, "high": 9}
    assert (one["counted"], one["cost"]["low"]) == ("exact", "0.000009")
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    (tmp_path / "t.json").write_text(json.dumps(chat(tools=[tool])))
    (two,) = estimate("t.json", "--json").data["estimates"]
    assert two["counted"] == "assumed"
    assert 9 < two["input_tokens"]["low"] < two["input_tokens"]["high"] < 9 + 60


def test_images_and_documents_are_expected_by_formula(estimate: Any, tmp_path: Path) -> None:
    """Goal: what is no text has a number, exact where the provider's formula is, else a range."""
    head = struct.pack(">IIBBBBB", 1024, 1024, 8, 0, 0, 0, 0)
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + head).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}}
    paper = base64.b64encode(b"%PDF-1.4 << /Type /Page >> << /Type /Page >>").decode()
    document = {"type": "document", "source": {"type": "base64", "data": paper}}
    picture = {"type": "image", "source": {"type": "base64", "data": png}}
    for name, model, parts in (
        ("image", "gpt-4o", [image]),
        ("low", "gpt-4o", [{**image, "image_url": {**image["image_url"], "detail": "low"}}]),
        ("claude", "claude-opus-5-5", [picture]),
        ("paper", "claude-opus-5-5", [document]),
        ("elsewhere", "claude-opus-5-5", [{"type": "document", "source": {"type": "url"}}]),
    ):
        said = [{"role": "user", "content": parts}]
        body = {"model": model, "max_tokens": 9, "messages": said}
        (tmp_path / f"{name}.json").write_text(json.dumps(body))
    got = estimate(str(tmp_path), "--json")
    rows = {Path(row["source"]).stem: row for row in got.data["estimates"]}
    assert (rows["image"]["input_tokens"], rows["image"]["counted"]) == (
        {"low": 3 + 1 + 3 + 765, "high": 3 + 1 + 3 + 765}, "exact",
    )  # fmt: skip
    assert rows["low"]["input_tokens"]["low"] == 7 + 85
    assert rows["claude"]["input_tokens"]["low"] == 37 * 37 + 6
    assert rows["claude"]["counted"] == "estimated"
    assert rows["paper"]["counted"] == "assumed"
    assert (
        3000 < rows["paper"]["input_tokens"]["low"] < rows["paper"]["input_tokens"]["high"] < 6600
    )
    assert rows["elsewhere"]["input_tokens"] is None
    for row in rows.values():
        expected = row["input_tokens"] or {"high": 0}
        assert expected["high"] <= row["input_tokens_max"]


def test_amounts_with_units(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    text = ("a.txt", "--model", "test-exact", "--json")
    plain = estimate(*text, "--out-tokens", "50", "--calls", "2000").data["estimates"]
    said = estimate(*text, "--out-tokens", "0.05ktok", "--calls", "2kreq", "--max-cost", "$1.5k")
    assert (said.code, said.data["estimates"]) == (0, plain)
    eaten = estimate(*text, "--max-cost", "0")
    assert eaten.code == 3
    assert "the shell read `$2`" in eaten.err


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_s_width_is_kept(estimate: Any, tmp_path: Path, columns: int) -> None:
    """Goal: no line of a table wraps, and a pipe still gets every column."""
    name = f"a-folder-with-a-rather-long-name/{'x' * 60}.txt"
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text("hello world")
    arguments = (name, "--model", "test-exact", "--model", "test-claude", "--out-tokens", "5-90")
    shown = on_terminal(tmp_path, columns, "estimate", *arguments)
    assert max(map(len, shown)) <= columns
    assert any("test-claude" in line and "estimated" in line for line in shown)
    piped = estimate(*arguments).out.splitlines()
    assert piped[0].split()[:2] == ["INPUT", "REQUESTS"]
    assert name in piped[1]


@pytest.mark.usefixtures("estimate")
def test_an_error_breaks_between_words(tmp_path: Path) -> None:
    arguments = ("estimate", "-", "--model", "gpt-nobody")
    shown = on_terminal(tmp_path, 60, *arguments, code=1)
    assert shown[0] == "error: the price book has no model `gpt-nobody`"
    assert max(map(len, shown)) <= 60
    assert shown[1].startswith("  why: a name matches exactly")
    assert shown[2].startswith("       ")


def on_terminal(folder: Path, columns: int, *arguments: str, code: int = 0) -> list[str]:
    """The lines that a command prints on a terminal of so many columns."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    prices = str(folder.parent / f"{folder.name}-prices.toml")
    process = subprocess.Popen(
        [sys.executable, "-m", "noburn_cli", *arguments],
        cwd=folder,
        stdout=slave,
        stderr=slave,
        stdin=subprocess.DEVNULL,
        env={**environment, "PYTHONPATH": str(ROOT), "NOBURN_PRICES": prices},
    )
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says so when the other end has closed.
            break
        if not part:
            break
        parts.append(part)
    os.close(master)
    assert process.wait(timeout=120) == code
    return b"".join(parts).decode().splitlines()


def test_a_reader_that_leaves_ends_it_quietly(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "noburn_cli", "estimate", "a.txt", "--compare"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=120,
        )
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr


def test_two_names_of_one_model_are_counted_once(estimate: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello world")
    names = ("gpt-6-luna", "openai/gpt-6-luna", "gpt-6-luna")
    got = estimate("a.txt", *(word for name in names for word in ("--model", name)), "--json")
    (one,) = got.data["estimates"]
    assert (one["requests"], one["input_tokens"]["low"]) == (1, 2)


def test_what_is_probably_a_slip_is_noted(estimate: Any, tmp_path: Path) -> None:
    body = chat()
    del body["model"]
    (tmp_path / "r.json").write_text(json.dumps(body))
    got = estimate("r.json", "-", "--model", "test-exact")
    assert got.code == 0
    assert got.err == (
        "note: r.json looks like a request without a model: counted as text\n"
        "note: standard input is empty\n"
    )
