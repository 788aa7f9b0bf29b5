"""`noburn prices update`: looked at in full, taken whole or not at all, and the past stays."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.errors import PolicyChanged
from noburn_cli.price_sources.keeping import replace_book

SHIPPED = Path(__file__).resolve().parents[2] / "pricing.toml"


def today() -> date:
    """When it is asked: the modules of a long suite are read on the day before, once in a while."""
    return datetime.now(tz=timezone.utc).date()


def shipped(name: str) -> str:
    """The lines of one model in the book that ships."""
    _, _, rest = SHIPPED.read_text("utf-8").partition(f'[[model]]\nname = "{name}"\n')
    return f'[[model]]\nname = "{name}"\n' + rest.partition("[[model]]\n")[0]


def row(start: object, *, inp: object, out: object, variant: str = "standard") -> str:
    return f"""
[[model.rate]]
variant = "{variant}"
starts_on = {start}
input = {inp}
output = {out}
url = "https://example.org/prices"
checked_on = {today()}
"""


NEW = """
[[model]]
name = "gpt-7-mini"
provider = "openai"
family = "text"
tokenizer = "unknown"
context_window = 100000
output_max = 1000
"""


def newer_book(*models: str, day: object = None) -> str:
    return f"format = 1\n[generated]\nchecked_on = {day or today()}\n" + "\n".join(models)


def saved(folder: Path, text: str) -> str:
    path = folder / "newer.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def rates(here: Any, model: str) -> list[tuple[str, str, str]]:
    """(start, input, output) of the model's standard rows, in order, without tiers."""
    shown = json.loads(here.said("prices", "show", model, "--json"))["data"]
    found = []
    for one in shown["rates"]:
        plain = {r["kind"]: r["usd"] for r in one["rates"] if not r["above_input_tokens"]}
        if one["variant"] == "standard":
            found.append((one["starts_on"], plain["input"], plain["output"]))
    return found


def test_a_new_price_is_a_row_with_its_day_and_can_be_undone(here: Any, tmp_path: Path) -> None:
    """Goal: plan, --dry-run, taking, the kept old rates, --undo and --undo again."""
    before = rates(here, "gpt-6-luna")
    later = today() + timedelta(days=20)
    changed = shipped("gpt-6-luna") + row(today(), inp="0.2", out="0.5") + row(later, inp=1, out=2)
    source = saved(tmp_path, newer_book(changed, NEW + row("1970-01-01", inp=1, out=2)))
    update = ("prices", "update", "--from", source)
    plan = here.said(*update, "--dry-run")
    assert "+ gpt-7-mini: openai, input $1 / M, output $2 / M" in plan
    assert f"standard from {today()}: input $0.1 / M → $0.2 / M (+100 %)" in plan
    assert f"the rates before end on {today() - timedelta(days=1)}" in plan
    assert f"standard from {later}, announced: input $0.2 / M → $1 / M (+400 %)" in plan
    assert "Models: 1 new, 1 changed" in plan
    assert rates(here, "gpt-6-luna") == before
    refused = here.noburn(*update)
    assert (refused.returncode, "nobody to ask" in refused.stderr) == (2, True)
    assert rates(here, "gpt-6-luna") == before
    assert "the running daemon follows" in here.noburn(*update, "--yes").stderr
    after = [*before, (str(today()), "0.2", "0.5"), (str(later), "1", "2")]
    assert rates(here, "gpt-6-luna") == after
    assert rates(here, "gpt-7-mini") == [("1970-01-01", "1", "2")]
    assert "Nothing to change: 2 models say the same." in here.said(*update, "--yes")
    assert here.noburn("prices", "update", "--undo").returncode == 0
    assert rates(here, "gpt-6-luna") == before
    here.said("prices", "update", "--undo")
    assert rates(here, "gpt-6-luna") == after
    assert sorted(one.name for one in (here.path / "config").iterdir()) == ["book.toml"]


def test_the_past_is_corrected_only_when_asked(here: Any, tmp_path: Path) -> None:
    wrong = shipped("gpt-6-luna").replace("\ninput = 0.1\n", "\ninput = 0.3\n", 1)
    source = saved(tmp_path, newer_book(wrong))
    before = rates(here, "gpt-6-luna")
    update = ("prices", "update", "--from", source)
    plan = here.said(*update, "--yes")
    assert "correction: input $0.1 / M → $0.3 / M (+200 %)" in plan
    assert "not taken without --corrections" in plan
    assert rates(here, "gpt-6-luna") == [*before, (str(today()), "0.3", "0.5")]
    here.said(*update, "--yes", "--corrections")
    assert rates(here, "gpt-6-luna")[0] == (before[0][0], "0.3", "0.5")


def test_ones_own_prices_have_the_last_word(here: Any, tmp_path: Path) -> None:
    own = here.path / "config" / "prices.toml"
    own.parent.mkdir()
    own.write_text('format = 1\n[[model]]\nname = "gpt-6-luna"\n' + row("1970-01-01", inp=9, out=9))
    changed = shipped("gpt-6-luna") + row(today(), inp="0.2", out="0.5")
    source = saved(tmp_path, newer_book(changed))
    assert "your own price file has the last word on it" in here.said(
        "prices", "update", "--from", source, "--yes"
    )
    assert rates(here, "gpt-6-luna") == [("1970-01-01", "9", "9")]


def test_what_a_book_may_not_do_stands_first(here: Any, tmp_path: Path) -> None:
    """Goal: a moved alias, a free model, a smaller window and a prefix, none of them unseen."""
    taker = shipped("gpt-6-luna").replace("family =", 'aliases = ["gpt-5.6"]\nfamily =', 1)
    small = shipped("gpt-4o").replace("context_window = 128000", "context_window = 17000", 1)
    free = shipped("gpt-4.1").partition("[[model.rate]]")[0] + row("1970-01-01", inp=0, out=0)
    silent = shipped("gemini-4-argon").replace('media_input = "as_text"\n', "", 1)
    assert silent != shipped("gemini-4-argon")
    book = newer_book(taker, small, free, silent).replace(
        f"checked_on = {today()}\n", f'checked_on = {today()}\n[prefixes]\n"zz/" = "openai"\n', 1
    )
    said = here.said("prices", "update", "--from", saved(tmp_path, book), "--yes").splitlines()
    assert [line.split(":")[0] for line in said[2:6]] == [
        *("! gpt-6-luna", "! gpt-4o", "! gpt-4.1"),
        "! models of openai will also be found after `zz/`",
    ]
    assert "stays `gpt-5.6-sol`" in said[2]
    assert here.said("prices", "show", "gpt-5.6").startswith("gpt-5.6-sol")
    shown = json.loads(here.said("prices", "show", "zz/gpt-4o", "--json"))["data"]
    assert shown["context_window"] == 128000
    assert rates(here, "gpt-4.1") == [("1970-01-01", "2", "8")]


FREE = """[[free]]
provider = "x"
context_window = 1
tokenizer = "bytes"
url = "https://example.org"
"""
GOOD = NEW + row("1970-01-01", inp=1, out=2)
#: (what is wrong with a book, a word of the error)
BAD = [
    ("format = 1", "does not say of which day"),
    (newer_book(GOOD, day="2026-01-01"), "older than the book in force"),
    (newer_book(day="2999-01-01"), "a day that has not come"),
    (newer_book(NEW), "it has no rate"),
    (newer_book(NEW + row("1970-01-01", inp=-1, out=2)), "negative"),
    (newer_book(GOOD)[:-40], "it is not TOML"),
    (newer_book(FREE), "declares providers free"),
    ("x" * (8 * 1024 * 1024 + 1), "larger than"),
    (None, "cannot be read"),
]


def test_a_bad_book_changes_nothing(here: Any, tmp_path: Path) -> None:
    for text, word in BAD:
        source = str(tmp_path / "none.toml") if text is None else saved(tmp_path, text)
        refused = here.noburn("prices", "update", "--from", source, "--yes")
        assert (refused.returncode, word in refused.stderr) == (1, True), refused.stderr
        assert not (here.path / "config").exists()


@pytest.fixture
def address() -> Iterator[tuple[str, dict[str, bytes]]]:
    """(an http address of this machine, what it serves by path)."""
    served: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = served.get(self.path)
            self.send_response(404 if content is None else 302 if self.path == "/away" else 200)
            if self.path == "/away":
                self.send_header("Location", "http://192.0.2.1/book.toml")
            if self.path == "/cut":
                self.send_header("Content-Length", str(len(content or b"") + 20))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", served
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_address_needs_its_checksum(here: Any, address: tuple[str, dict[str, bytes]]) -> None:
    """Goal: bytes that nobody vouched for, cut or led elsewhere change nothing."""
    base, served = address
    good = newer_book(NEW + row("1970-01-01", inp=1, out=2)).encode()
    served.update(
        {"/book": good, "/cut": good[:-20], "/away": b"-", "/huge": b"#" * (8 * 2**20 + 1)}
    )
    digest = hashlib.sha256(good).hexdigest()

    def update(path: str, *more: str) -> tuple[int, str]:
        done = here.noburn("prices", "update", "--yes", "--from", path, *more)
        return done.returncode, done.stderr

    other = hashlib.sha256(b"other").hexdigest()
    for path, more, code, word in (
        (f"{base}/book", (), 2, "needs its checksum"),
        (f"{base}/book", ("--sha256", "abc"), 2, "no SHA-256"),
        (f"{base}/book", ("--sha256", other), 1, "is not what the checksum says"),
        (f"{base}/cut", ("--sha256", digest), 1, "is not what the checksum says"),
        (f"{base}/away", ("--sha256", digest), 1, "leads to http://192.0.2.1"),
        (f"{base}/huge", ("--sha256", digest), 1, "larger than"),
        (f"{base}/none", ("--sha256", digest), 1, "answered 404"),
        ("http://192.0.2.1/book", ("--sha256", digest), 2, "is not fetched from"),
        ("file:///etc/passwd", ("--sha256", digest), 2, "is not fetched from"),
    ):  # fmt: skip
        found, said = update(path, *more)
        assert (found, word in said) == (code, True), (path, said)
        assert not (here.path / "config").exists()
    assert update(f"{base}/book", "--sha256", f"SHA256:{digest.upper()}")[0] == 0
    assert rates(here, "gpt-7-mini") == [("1970-01-01", "1", "2")]
    book = (here.path / "config" / "book.toml").read_text("utf-8")
    assert f'source = "{base}/book"' in book
    assert digest in book


def test_the_installed_package_agrees_with_what_ships(here: Any) -> None:
    """Goal: without litellm's list, too, nothing changes while nothing has changed."""
    pytest.importorskip("genai_prices")
    said = here.said("prices", "update")
    assert "Nothing to change" in said


def usage(client: Any, reserve: Any, call: str, **changes: Any) -> None:
    reply = client.reserve(reserve(call, **changes))
    assert reply["ok"], reply


def settle(client: Any, call: str) -> None:
    client.settle(call, {"input": 300, "output": 100}, latency_ms=1, status=200)


def test_calls_before_and_after_an_update_cost_what_held_on_their_day(
    home: Any, here: Any, reserve: Any, tmp_path: Path
) -> None:
    """Goal: settled calls stay, an open hold keeps its book, new calls cost the new price."""
    assert home.noburn("daemon", "start").returncode == 0
    changed = shipped("gpt-6-luna") + row(today(), inp="0.2", out="1")
    source = saved(tmp_path, newer_book(changed))
    with home.client() as client:
        usage(client, reserve, "before")
        settle(client, "before")
        usage(client, reserve, "held")
        shown = here.said("prices", "update", "--from", source, "--impact", "--yes")
        # A run looks at the files of the book before it begins; other calls do every two seconds.
        client.run_start(run="r", attrs={}, command=["x"], limit=None)
        settle(client, "held")
        usage(client, reserve, "after")
        settle(client, "after")
        # What nobody's usage priced is named, and left out.
        usage(client, reserve, "lost")
        client.lose("lost", reason="stream aborted", latency_ms=5, status=200)
    old, new = "0.00008", "0.00016"  # 300 × $0.1 / M + 100 × $0.5 / M, and twice that
    assert "The calls of the last 30 days at both prices:" in shown
    (line,) = [one for one in shown.splitlines() if one.startswith("gpt-6-luna ")]
    assert line.split()[1:] == ["1", f"${old}", f"${old}", f"${new}", f"+${old}", "(+100", "%)"]
    for call, cost in (("before", old), ("held", old), ("after", new)):
        told = json.loads(here.said("why", call, "--json"))["data"]
        assert told["cost_usd"] == cost
    (total,) = json.loads(here.said("report", "--json", "--by", "model"))["data"]["rows"]
    assert total["calls"] == 4
    assert here.noburn("ledger", "verify").returncode == 0
    again = json.loads(
        here.said("prices", "update", "--from", source, "--impact", "--dry-run", "--json")
    )["data"]
    (left,) = again["impact"]["left_out"]
    assert (left["calls"], "uncertain" in left["reason"]) == (1, True)
    assert again["impact"]["total"]["calls"] == 3
    assert [again["taken"], again["changes_anything"]] == [False, False]


def test_a_newer_package_brings_prices_and_models(
    here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: a listed model, one that came by agreement, and one that is new, without litellm."""
    data = pytest.importorskip("genai_prices.data")
    from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice

    def price(dollars: str) -> Any:
        return ModelPrice(input_mtok=Decimal(dollars), output_mtok=Decimal("2"))

    for provider, changed in (
        *(("openai", "gpt-4o"), ("groq", "openai/gpt-oss-20b")), ("deepseek", "deepseek-flash"),
    ):  # fmt: skip
        (found,) = [one for one in data.providers if one.id == provider]
        models = [
            replace(one, prices=price("7")) if one.id == changed else one for one in found.models
        ]
        if provider == "openai":
            for name, window in (("gpt-99", 500_000), ("gpt-98", None)):
                match = ClauseEquals(equals=name)
                models.append(ModelInfo(id=name, match=match, context_window=window,
                                        prices=price("3")))  # fmt: skip
        monkeypatch.setattr(found, "models", models)
    before = rates(here, "gpt-4o")
    said = here.said("prices", "update", "--yes")
    assert said.count("(new)") == 0
    # A price by the hour is kept by hand.
    assert "? deepseek-flash: the sources say otherwise, not taken" in said
    (gone,) = [
        line for line in said.splitlines() if line.startswith(f"    standard from {today()}:")
    ][:1]
    assert "; no rate any more: cached input" in gone
    assert gone.endswith("are refused; the rates before end on " + str(today() - timedelta(days=1)))
    assert rates(here, "gpt-4o") == [*before, (str(today()), "7", "2")]
    assert rates(here, "groq/openai/gpt-oss-20b")[-1] == (str(today()), "7", "2")
    assert rates(here, "gpt-99") == [("1970-01-01", "3", "2")]
    assert here.noburn("prices", "show", "gpt-98").returncode == 1  # its window is not known
    assert "Nothing to change" in here.said("prices", "update", "--yes")
    checked = here.said("prices", "check", "--json", "--model", "gpt-99")
    assert json.loads(checked)["data"]["disagreements"] == []


def test_a_book_that_changed_meanwhile_is_not_written_over(here: Any, tmp_path: Path) -> None:
    here.said("prices", "update", "--yes", "--from", saved(tmp_path, newer_book(GOOD)))
    path = here.path / "config" / "book.toml"
    taken = path.read_text("utf-8")
    for seen in (None, taken + "# other"):
        with pytest.raises(PolicyChanged):
            replace_book(here.environment, "format = 1\n", over=seen)
    assert path.read_text("utf-8") == taken


def test_an_update_that_was_cut_off_can_be_undone(here: Any) -> None:
    """Goal: whichever of its files it had written, the book before the last one comes back."""
    folder = here.path / "config"
    folder.mkdir()
    first, second, third = (newer_book(GOOD) + f"# {n}\n" for n in range(3))
    book, before, older = (folder / f"book{word}.toml" for word in ("", "-before", "-older"))
    for left in ({book: second, older: first}, {book: second, before: second, older: first}):
        before.unlink(missing_ok=True)
        for path, text in left.items():
            path.write_text(text, encoding="utf-8")
        assert here.noburn("prices", "update", "--undo").returncode == 0
        assert [book.read_text("utf-8"), before.read_text("utf-8")] == [first, second]
    # It had ended but for what it had laid aside.
    for path, text in {book: third, before: second, older: first}.items():
        path.write_text(text, encoding="utf-8")
    assert here.noburn("prices", "update", "--undo").returncode == 0
    assert [book.read_text("utf-8"), before.read_text("utf-8")] == [second, third]
    assert not older.exists()
