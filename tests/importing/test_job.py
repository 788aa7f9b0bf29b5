"""Importing again, in parts, from grown, moved and broken files, being killed: the same calls."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from decimal import Decimal

import pytest

from noburn_cli.errors import InputRefused, LedgerUnavailable, NoburnError
from noburn_cli.importing import batches
from noburn_cli.importing.forgetting import forget
from noburn_cli.importing.job import STEP_RECORDS
from noburn_cli.importing.mapping import Mapped, parse_chosen
from noburn_cli.importing.reading import Source
from noburn_cli.importing.sources.mapped import columns_from, reader
from noburn_cli.importing.store import read_store
from noburn_cli.render.importing import render_outcome
from tests.importing.conftest import CORPUS


def facts(found):
    """Calls without what tells of the import itself."""
    return [{k: v for k, v in call.items() if k != "batch"} for call in found]


@pytest.mark.parametrize("source", ["litellm", "langfuse", "openrouter", "codex", "helicone"])
def test_again_in_any_order_changes_nothing(bring, calls, source):
    """Goal: the same files again, in another order and overlapping, leave the same calls."""
    files = sorted(CORPUS.glob(f"{source}*"))
    bring(source, *files)
    before = facts(calls())
    assert bring(source, *files).unchanged == len(files)
    outcome = bring(source, *reversed(files), again=True)
    assert facts(calls()) == before
    assert outcome.became["new"] == 0


def test_a_file_that_grows_is_read_on(bring, calls, tmp_path):
    """Goal: at any length, in the middle of a line too, reading on ends where reading once does."""
    for name in ("claude_code.jsonl", "codex_fork.jsonl"):
        source = "claude-code" if name.startswith("claude") else "codex"
        whole = (CORPUS / name).read_bytes()
        log = tmp_path / name
        for part in (len(whole) // 3, len(whole) // 2, len(whole) * 3 // 4, len(whole)):
            log.write_bytes(whole[:part])
            outcome = bring(source, log)
        looked_at = outcome.records
        grown = facts(calls(f"source = '{source}'"))
        bring(source, log, again=True)
        assert facts(calls(f"source = '{source}'")) == grown
        assert 0 < looked_at < whole.count(b"\n"), "the last step read only what had come"


def test_a_moved_file_is_known_and_a_changed_one_is_read(bring, calls, tmp_path):
    log = tmp_path / "one.jsonl"
    shutil.copy2(CORPUS / "langsmith.jsonl", log)
    bring("langsmith", log)
    log.rename(tmp_path / "two.jsonl")
    assert bring("langsmith", tmp_path / "two.jsonl").unchanged == 1
    log.write_text((tmp_path / "two.jsonl").read_text().replace('"0.00162"', '"0.002"'))
    outcome = bring("langsmith", log)
    assert (outcome.became["replaced"], outcome.became["same"]) == (1, 1)
    assert calls("counts = 'source'")[0]["cost_nano"] == 2_000_000


def test_other_choices_read_a_known_file_anew(bring, calls):
    bring("litellm", CORPUS / "litellm.json")
    named = {"customer": "request_tags.team", "feature": ""}
    chosen = parse_chosen(named, ["tag.alias=metadata.user_api_key_alias"])
    bring("litellm", CORPUS / "litellm.json", mapped=Mapped(chosen, {"project": "desk"}))
    first = calls("provider_id = 'chatcmpl-0001'")[0]
    assert (first["customer"], first["feature"], first["tags"]) == (
        "blue", None, '{"alias": "search-key"}',
    )  # fmt: skip
    bring("litellm", CORPUS / "litellm.json", rule="list")
    assert calls("provider_id = 'chatcmpl-0001'")[0]["counts"] == "list"


def test_undo_and_bring_back(bring, calls, tmp_path):
    """Goal: what a batch brought in goes, names included; importing again brings all of it back."""
    files = sorted(CORPUS.glob("helicone*"))
    bring("helicone", *files)
    bring("portkey", CORPUS / "portkey.jsonl")
    before = facts(calls())
    home = tmp_path / "home"
    assert batches.undo(home, batches.chosen(home, "helicone/1")) == 6
    assert {call["source"] for call in calls()} == {"portkey"}
    assert b"globex" not in b"".join(p.read_bytes() for p in home.iterdir())
    assert [batch.name for batch in batches.listed(home)] == ["portkey/2"]
    with pytest.raises(NoburnError, match="nothing was imported as"):
        batches.chosen(home, "helicone")
    bring("helicone", *files)
    assert [c for c in facts(calls()) if c["provider_id"] != "chatcmpl-0001"] == [
        c for c in before if c["provider_id"] != "chatcmpl-0001"
    ]


def test_undo_while_an_import_goes_on(bring, calls, tmp_path):
    """Goal: what comes after it has its names, and stands in a batch that can be taken back."""
    rows = [
        {"request_id": f"r{n}", "model": "gpt-6-luna", "startTime": "2026-11-22T10:00:00Z",
         "end_user": "acme", "spend": 1}
        for n in range(STEP_RECORDS + 1)
    ]  # fmt: skip
    log = tmp_path / "spend.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    home, taken = tmp_path / "home", []

    def tell(records, _file):
        if records == STEP_RECORDS and not taken:
            taken.append(batches.undo(home, batches.listed(home)))

    bring("litellm", log, tell=tell)
    assert taken == [STEP_RECORDS]
    assert [(one["provider_id"], one["customer"]) for one in calls()] == [
        (f"r{STEP_RECORDS}", "acme")
    ]
    (batch,) = batches.listed(home)
    assert (batch.calls, batch.ended_at_ms is not None) == (1, True)


def test_bills_of_days(bring, calls, tmp_path):
    """Goal: of a day with an export of costs, its money counts, and usage only without one."""
    usage = tmp_path / "usage.csv"
    usage.write_text(
        "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_read,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_output_tokens,"
        "web_search_count,workspace\n"
        "2026-11-22,claude-opus-5-5,900000,0,0,0,100000,0,shop\n"
        "2026-11-23,claude-opus-5-5,900000,0,0,0,100000,0,shop\n"
    )
    bring("anthropic", usage)
    assert [call["cost_nano"] for call in calls()] == [1_400_000_000] * 2
    costs = tmp_path / "costs.csv"
    costs.write_text(
        "usage_date_utc,model,workspace,usage_type,token_type,cost_usd\n"
        "2026-11-22,Claude Opus 5.5,shop,message,input_no_cache,0.80\n"
        "2026-11-22,Claude Opus 5.5,shop,message,output,0.45\n"
    )
    bring("anthropic", costs)
    by_day = {}
    for call in calls():
        day = call["reserved_at_ms"] // 86_400_000
        by_day[day] = by_day.get(day, 0) + call["cost_nano"]
    assert list(by_day.values()) == [1_250_000_000, 1_400_000_000]
    home = tmp_path / "home"
    batches.undo(home, batches.chosen(home, "anthropic/2"))
    assert [call["cost_nano"] for call in calls()] == [1_400_000_000] * 2


def test_a_table_by_a_mapping(bring, calls):
    """Goal: any columns, times in a zone (summer time too), rows without an id each once."""
    columns = columns_from(
        {
            "time": "when", "model": "llm", "input": "in", "cache_read": "cached", "output": "out",
            "cost": "usd", "customer": "who",
        },
        {"input_includes_cache": True, "costs_are": "billed", "zone": "Europe/Berlin"},
    )  # fmt: skip
    source = Source("desk", "desk", columns.trust, lambda asked: reader(columns, asked), "a table")
    outcome = bring(source, CORPUS / "table.csv")
    first, *others = calls()
    assert first["reserved_at_ms"] == 1_782_858_600_000  # 00:30 in Berlin's summer: 22:30 UTC
    assert (first["input"], first["cache_read"], first["customer"]) == (600, 400, "acme")
    assert [call["cost_nano"] for call in others] == [70_000, 2_000_000, 2_000_000]
    assert list(outcome.unread) == ["its time cannot be read"]
    assert bring(source, CORPUS / "table.csv", again=True).became == {"same": 4}
    # Understood in another way, a row is still the same row.
    other = columns_from({"time": "when", "model": "llm", "output": "out", "feature": "who"}, {})
    source = Source("desk", "desk", other.trust, lambda asked: reader(other, asked), "a table")
    assert bring(source, CORPUS / "table.csv", mapping="other").became == {"replaced": 4}
    assert [call["input"] for call in calls()] == [0] * 4


def test_a_table_without_tokens_is_not_priced_at_nothing(bring, calls, tmp_path):
    """Goal: what the book cannot price is no $0.00, and a cost that is told stands alone."""
    columns = columns_from({"time": "t", "model": "m", "input": "i", "cost": "usd"}, {})
    source = Source("desk", "desk", columns.trust, lambda asked: reader(columns, asked), "a table")
    table = tmp_path / "calls.csv"
    rows = ("2026-11-22,gpt-6-luna,,1", "2026-11-22,gpt-6-luna,,", "2026-11-22,gpt-6-luna,0,")
    table.write_text("t,m,i,usd\n" + "\n".join(rows) + "\n")
    money = bring(source, table).money
    assert (money.said, money.listed, money.both) == (1, 1, 0)
    assert {(one["counts"], one["cost_nano"]) for one in calls()} == {
        ("source", 1_000_000_000), ("unpriced", None), ("list", 0),
    }  # fmt: skip
    assert (money.by["unpriced"], money.unpriced, money.unlisted) == (1, {}, {})
    assert money.notes == {"without tokens, and so without a list price": 2}


def test_a_misspelt_field_is_told(bring, calls):
    """Goal: a table that lacks it is refused whole; of JSON it is told that no record had it."""
    mapped = Mapped(parse_chosen({"customer": "request_tags.taem", "feature": "end_user"}, []))
    outcome = bring("litellm", CORPUS / "litellm.json", mapped=mapped)
    assert outcome.never == {"customer": "request_tags.taem"}
    assert outcome.became["new"] == len(calls()) > 0
    assert "no record that was read has request_tags.taem" in "\n".join(
        render_outcome(outcome, "LiteLLM", agent=False)
    )
    with pytest.raises(InputRefused, match="no column 'taem'"):
        bring("litellm", CORPUS / "litellm.csv", mapped=Mapped({"customer": "taem"}), again=True)
    assert len(calls()) == outcome.became["new"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04" + bytes(60), "is a zip archive"),
        ("request_id,model\nr1,gpt-6-luna\n".encode("utf-16"), "is text in UTF-16"),
        (b"request_\xff,model\nr1,gpt-6-luna\n", "of its heading: it is not UTF-8"),
        (b'"request_id,model\nr1,gpt-6-luna\n', "of its heading: "),
    ],
)
def test_a_file_of_another_kind_is_told(bring, calls, tmp_path, content, said):
    """Goal: no row of it is taken for a heading, and a person hears what to do."""
    file = tmp_path / "export"
    file.write_bytes(content)
    for source in ("litellm", "openai"):
        with pytest.raises(InputRefused, match=said if source == "litellm" else "export"):
            bring(source, file)
    assert calls() == []


def test_equal_rows_without_ids_each_count(bring, calls, tmp_path):
    """Goal: a log that grows by a row that it has already has it twice, and stays so."""
    columns = columns_from({"time": "t", "model": "m"}, {})
    source = Source("log", "log", columns.trust, lambda asked: reader(columns, asked), "a log")
    log = tmp_path / "log.jsonl"
    for rows in (1, 2, 2, 3):
        log.write_text('{"t": "2026-11-22", "m": "gpt-6-luna"}\n' * rows)
        bring(source, log)
        assert len(calls()) == rows


def test_parquet_is_the_same_as_json(bring, calls, tmp_path):
    """Goal: maps, timestamps and decimals of Parquet are read as their texts in JSON are."""
    import pyarrow
    from pyarrow import parquet

    rows = [json.loads(line) for line in (CORPUS / "langfuse_v4.jsonl").read_text().splitlines()][
        :3
    ]
    counts = pyarrow.map_(pyarrow.string(), pyarrow.int64())
    columns = {
        "id": pyarrow.array([row["id"] for row in rows]),
        "type": pyarrow.array([row["type"] for row in rows]),
        "start_time": pyarrow.array(
            [datetime.fromisoformat(row["start_time"]) for row in rows], pyarrow.timestamp("us")
        ),
        "provided_model_name": pyarrow.array([row["provided_model_name"] for row in rows]),
        "usage_details": pyarrow.array([list(r["usage_details"].items()) for r in rows], counts),
        "total_cost": pyarrow.array(
            [Decimal(str(row["total_cost"] or 0)) for row in rows],
            pyarrow.decimal128(38, 12),
        ),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "observations.parquet")
    bring("langfuse", tmp_path / "observations.parquet")
    wanted = ("call", "model", "reserved_at_ms", "input", "cache_read", "output", "said_nano")
    read = [{name: call[name] for name in wanted} for call in calls()]
    bring("langfuse", CORPUS / "langfuse_v4.jsonl")
    assert read == [{name: call[name] for name in wanted} for call in calls()]
    assert len(read) == 2


def test_damage_is_told_and_the_rest_is_kept(bring, calls, tmp_path):
    log = tmp_path / "log.jsonl.gz"
    lines = (CORPUS / "claude_code.jsonl").read_bytes().splitlines(keepends=True)
    many = b"".join(lines[:5] * 400)
    packed = gzip.compress(many)
    log.write_bytes(packed[: len(packed) * 2 // 3])
    outcome = bring("claude-code", log)
    assert len(calls()) == 1
    assert outcome.unread["the file is damaged from there on"].count == 1
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b'{"a": 1}\n\xff\xfe\n[]\n{"a": ' + b"[" * 100_000 + b"\n" + lines[4])
    outcome = bring("claude-code", broken)
    assert outcome.left == {"lines that tell of no call": 4}
    with pytest.raises(InputRefused, match="cannot be read"):
        bring("claude-code", tmp_path / "missing.jsonl")


@pytest.mark.parametrize("depth", [900, 990, 5_000, 100_000])
def test_deep_nesting_is_a_reason(bring, calls, tmp_path, depth):
    columns = columns_from({"time": "t", "model": "m"}, {})
    source = Source("log", "log", columns.trust, lambda asked: reader(columns, asked), "a log")
    log = tmp_path / "log.jsonl"
    whole = '{"t": "2026-11-22", "m": "x", "deep": %s%s}\n'
    log.write_text(whole % ("[" * depth, "]" * depth) + whole % ("[", "]"))
    outcome = bring(source, log)
    assert len(calls()) + outcome.unread_count == 2
    assert set(outcome.unread) <= {"it is nested too deeply"}


def test_killed_in_the_middle_it_goes_on(tmp_path, calls, bring):
    """Goal: SIGKILL at any moment; importing again ends with every call once."""
    home = tmp_path / "home"
    for steps in (3, 9, 27, 81):  # as many as are needed to be seen in the middle
        log, count = spend_log(tmp_path, steps), steps * STEP_RECORDS
        shutil.rmtree(home, ignore_errors=True)
        child = subprocess.Popen(
            [sys.executable, "-m", "noburn_cli", "import", "litellm", str(log)],
            env={**os.environ, "NOBURN_HOME": str(home)}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while child.poll() is None and not kept(home):
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        if child.wait() == -signal.SIGKILL and kept(home) < count:
            break
    assert 0 < kept(home) < count
    outcome = bring("litellm", log)
    assert outcome.records < count, "it went on where it was"
    assert kept(home) == count
    assert [batch.ended_at_ms is None for batch in batches.listed(home)] == [True, False]


def spend_log(folder, steps):
    """A log of so many steps of an import, each call once."""
    record = json.loads((CORPUS / "litellm.json").read_text())[0]
    log = folder / "spend.jsonl"
    with log.open("w") as file:
        for number in range(steps * STEP_RECORDS):
            file.write(json.dumps({**record, "request_id": f"chatcmpl-{number}"}) + "\n")
    return log


def kept(home):
    """How many calls are there, also while the file is being made."""
    with contextlib.suppress(LedgerUnavailable), read_store(home) as connection:
        if connection is not None:
            return next(iter(connection.execute("SELECT count(*) FROM imported")))[0]
    return 0


def test_a_name_is_forgotten(bring, calls, tmp_path):
    """Goal: no byte of the file says it, the calls stay together, and two names may become one."""
    home = tmp_path / "home"
    for source in ("litellm", "helicone", "portkey"):
        bring(source, *sorted(CORPUS.glob(f"{source}*")), mapped=Mapped({}, {"tag.team": "acme"}))
    before = sum(call["cost_nano"] or 0 for call in calls("customer = 'acme'"))
    said = forget(home, "customer", "acme", stand_in="(forgotten 1)", dry_run=True)
    assert said == forget(home, "customer", "acme", stand_in="(forgotten 1)", dry_run=False) > 5
    assert calls("customer = 'acme'") == []
    assert sum(c["cost_nano"] or 0 for c in calls("customer = '(forgotten 1)'")) == before
    assert {call["tags"] for call in calls()} >= {'{"team": "acme"}'}, "another key's value stays"
    forget(home, "tag.team", "acme", stand_in="(forgotten 2)", dry_run=False)
    forget(home, "customer", "globex", stand_in="(forgotten 1)", dry_run=False)
    kept_bytes = b"".join(path.read_bytes() for path in home.iterdir())
    assert b"acme" not in kept_bytes
    assert b"globex" not in kept_bytes
    assert forget(tmp_path / "nowhere", "customer", "acme", stand_in="x", dry_run=False) == 0
