"""Forgetting a name: what says it, and that noburn's own words stay what they are."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest
from typer.testing import CliRunner

from noburn_cli.commands.importing import app as import_app
from noburn_cli.commands.ledger import app, forgetting
from noburn_cli.core.actions import ACTIONS
from noburn_cli.core.windows import WINDOWS
from noburn_cli.errors import LedgerUnavailable, UsageError
from noburn_cli.reports.verify import verify_ledger
from noburn_daemon import alerts, ending, policy, reserving, running, scheduling, schema, showing
from noburn_daemon.account import UNITS
from noburn_daemon.book import Book
from noburn_daemon.forgetting import Forgetting
from noburn_daemon.history import History
from noburn_daemon.pseudonyms import Pseudonym
from noburn_daemon.rewriting import NewFile
from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import (
    START_MS,
    balances,
    commit,
    open_book,
    read,
    reserve_frame,
    shown,
)  # fmt: skip

#: Keys of what is written while names are forgotten, besides those that the file has before.
_MORE_WORDS = ("next", "seal", "attribute", "through", "link", "kept", "call", "global", "ops", "m")


class _Each(Pseudonym):
    """Many names, one after another, in one new file."""

    def __init__(self, stand_ins: dict[str, str]) -> None:
        super().__init__("customer", "customer", "")
        self.needle = ""
        self._each = [Pseudonym("customer", *one) for one in stand_ins.items()]

    def in_detail(self, kind: str, text: str) -> str:
        for one in self._each:
            text = one.in_detail(kind, text) if one.needle in text else text
        return text

    def in_column(self, name: str, text: str) -> str:
        for one in self._each:
            text = one.in_column(name, text) if one.needle in text else text
        return text

    def in_attributes(self, text: str) -> str:
        for one in self._each:
            text = one.in_attributes(text) if one.needle in text else text
        return text


def _forget(ledger: SqliteLedger, pseudonym: Pseudonym) -> None:
    new = NewFile(ledger.path, Forgetting(pseudonym, ledger.sealed()))
    while (copied := new.copy_some())[0] < copied[1]:
        pass
    seal = new.seal()
    assert ledger.is_checkpointed()
    new.finish(seal, START_MS)
    ledger.go_on_with(new.path)


def _keys(said: Any) -> set[str]:
    if isinstance(said, str) and said[:1] in ("{", "["):
        return _keys(json.loads(said))
    if isinstance(said, dict):
        return {str(key) for key in said}.union(*map(_keys, said.values()))
    return set().union(*map(_keys, said)) if isinstance(said, list) else set()


def _limit(unit: str, amount: int) -> dict[str, Any]:
    return {"unit": unit, "amount": amount}


def _do_everything(book: Book, customer: str, number: int) -> None:
    """One row of each kind that has a detail, and one cell of each table, for one customer."""
    scope = f"customer={customer}"
    common = {"n": 1, "op": "budget.set", "scope": scope}
    bills = {**common, "per": "day", "limit": _limit("dollars", 1), "action": "bill",
             "thresholds": [50], "notify": ["ops"]}  # fmt: skip
    policy.set_budget(book, read(bills), START_MS)
    blocks = {**common, "per": "hour", "limit": _limit("requests", 1)}
    policy.set_budget(book, read(blocks), START_MS)
    top = {"n": 1, "op": "budget.topup", "scope": scope, "per": "day", "unit": "dollars",
           "amount": 5}  # fmt: skip
    policy.top_up(book, read(top), START_MS)
    later = {**common, "per": "week", "limit": _limit("tokens", 7), "at_ms": START_MS + 10**9}
    scheduling.set_budget(book, read(later), START_MS)
    run = f"r{number}"
    start = {"n": 1, "op": "run.start", "run": run, "attrs": {"customer": customer},
             "command": ["agent", "--for", scope], "limit": _limit("dollars", 10**12)}  # fmt: skip
    running.start_run(book, read(start), "b:1:1", START_MS)
    note = {"n": 1, "op": "run.note", "run": run, "kind": "key", "detail": {"host": "h"}}
    running.note(book, read(note), START_MS)
    for call in (f"c{number}", f"d{number}"):  # the second is blocked
        frame = reserve_frame(call, attrs={"customer": customer, "run": run})
        reserving.reserve(book, read(frame), owner="b:1:1", caller=None, now_ms=START_MS)
    usage = {"n": 1, "op": "settle", "call": f"c{number}", "usage": {"input": 50, "output": 1}}
    ending.settle(book, read(usage), START_MS)
    book.stop_run(run, f"stopped for {scope}", by="somebody", now_ms=START_MS)
    alerts.tell(book, START_MS, ("ops",))


def _listed(book: Book) -> Any:
    frame = read({"n": 1, "op": "budget.list"})
    listed = shown(showing.list_budgets(book, frame, START_MS))
    return json.loads(json.dumps({**listed, "digest": None}))


def _texts(path: Path) -> list[str]:
    """Every text of the ledger that may be JSON or say a name."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = connection.execute(
        "SELECT detail FROM journal UNION ALL SELECT text FROM names UNION ALL SELECT scope FROM "
        "budgets UNION ALL SELECT key FROM accounts UNION ALL SELECT spec FROM scheduled UNION ALL "
        "SELECT payload FROM outbox"
    ).fetchall()
    connection.close()
    return [str(text) for (text,) in found if text is not None]


def test_a_customer_called_like_a_word_of_the_ledger_takes_nothing_along(tmp_path: Path) -> None:
    """Goal: each key and each word of the details, as a customer's name, is forgotten alone."""
    path = tmp_path / "ledger.sqlite3"
    book, ledger = open_book(path)
    _do_everything(book, "somebody", 0)
    commit(book, ledger, snapshot=True)
    found: set[str] = set()
    for text in _texts(path):
        found |= _keys(text)
    words = sorted(found | {*ACTIONS, *UNITS, *WINDOWS, *schema.KINDS, *_MORE_WORDS})
    assert {"budget", "scope", "limit", "key", "spec", "data", "unit"} <= found
    for number, word in enumerate(words, 1):
        _do_everything(book, word, number)
    commit(book, ledger, snapshot=True)
    stand_ins = {word: f"(forgotten {number:08x})" for number, word in enumerate(words)}

    def forgotten(text: str) -> str:
        return re.sub(r"customer=([\w.]+)", lambda m: f"customer={stand_ins.get(m[1], m[1])}", text)

    listed = forgotten(json.dumps(_listed(book)))
    stood = {forgotten(name): numbers for name, numbers in balances(book).items()}
    _forget(ledger, _Each(stand_ins))
    _forget(ledger, Pseudonym("customer", "seal", "nobody"))  # the row that it left stays, too
    ledger.close()
    verdict = verify_ledger(path)
    assert verdict.holds, verdict
    book, ledger = open_book(path)
    assert balances(book) == stood
    assert _listed(book) == json.loads(listed)
    said = "\n".join(_texts(path))
    assert [w for w in words if f"customer={w}" in said or f'"customer","{w}"' in said] == []
    ledger.close()


@pytest.mark.parametrize(
    ("field", "text", "changed"),
    [
        ("failure", "`customer=acme per month` has $0", "`customer=X per month` has $0"),
        ("failure", "--customer=acme acme, x@acme acme.com", "--customer=X X, x@acme acme.com"),
        ("failure", "project=acme customer=acme-x", "project=acme customer=acme-x"),
        ("failure", "acme", "acme"),  # one word: noburn's own
        ("scope", "customer=acme corp", "customer=acme corp"),
        ("scope", "project=acme,customer=acme", "project=acme,customer=X"),
        ("served_model", "acme", "acme"),
        ("key", '[["customer","acme"],["job","acme"]]', '[["customer","X"],["job","acme"]]'),
        ("spec", '{"customer":"acme","acme":"acme"}', '{"customer":"X","acme":"acme"}'),
        ("spec", '{"command":["run","acme"],"n":1}', '{"command":["run","acme"],"n":1}'),
        ("spec", '{"command":["agent","--for","acme"]}', '{"command":["agent","--for","X"]}'),
        ("payload", '{"data":{"account":"customer=acme per day"}}',
         '{"data":{"account":"customer=X per day"}}'),
        ("failure", "{no json acme", "{no json X"),
    ],
)  # fmt: skip
def test_what_says_a_name(field: str, text: str, changed: str) -> None:
    assert Pseudonym("customer", "acme", "X").in_column(field, text) == changed


def test_what_clients_note_of_a_run_is_free_text() -> None:
    note = '{"kind":"acme","about":"acme"}'
    pseudonym = Pseudonym("customer", "acme", "X")
    assert pseudonym.in_detail("run_note", note) == '{"kind":"acme","about":"X"}'
    assert pseudonym.in_detail("carry", note) == note


def _history(book: Book, ledger: SqliteLedger) -> History:
    commits: Any = SimpleNamespace(
        book=book, sick=None, flush=lambda: None, now=lambda: START_MS, begin_anew=lambda _: None
    )
    return History(
        ledger=ledger, commits=commits, loop=asyncio.get_running_loop(), failed=lambda: None
    )


async def _asked(history: History, name: str, *, dry_run: bool = False) -> dict[str, Any]:
    frame = {"n": 1, "op": "ledger.forget", "key": "customer", "value": name, "dry_run": dry_run}
    while (reply := shown(history.forget(read(frame)))).get("state") == "working":
        await asyncio.sleep(0.01)
    return reply


@pytest.mark.parametrize("name", ["*", "each", " each", "(none)", " "])
def test_everybody_and_nobody_cannot_be_forgotten(tmp_path: Path, name: str) -> None:
    book, ledger = open_book(tmp_path / "ledger.sqlite3")

    async def asked() -> None:
        await _asked(_history(book, ledger), name)

    with pytest.raises(UsageError):
        asyncio.run(asked())
    ledger.close()
    told = CliRunner().invoke(app, ["forget", f"customer={name}"])
    assert isinstance(told.exception, UsageError) or told.exit_code == 2


def test_a_defect_does_not_bar_what_is_asked_for_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    book, ledger = open_book(tmp_path / "ledger.sqlite3")
    _do_everything(book, "acme", 1)
    commit(book, ledger, snapshot=True)
    monkeypatch.setattr(logging.getLogger("noburn"), "propagate", True)

    async def asked() -> None:
        history = _history(book, ledger)
        for step in ("begin", "copy_names", "_name"):
            with monkeypatch.context() as patched:
                patched.setattr(Forgetting, step, lambda *_: {}["x"])
                failed = await _asked(history, "acme")
            assert (failed["ok"], "KeyError" in failed["message"]) == (False, True)
            assert "Traceback" in caplog.text
            assert [path.name for path in tmp_path.glob("*.new")] == []
        assert (await _asked(history, "acme"))["rows"] > 0
        history.close()

    asyncio.run(asked())
    ledger.close()


def test_a_disk_that_lets_nothing_go_does_not_bar_it_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: whoever asked hears of the failure, and the next one is not told to wait for ever."""
    book, ledger = open_book(tmp_path / "ledger.sqlite3")
    _do_everything(book, "acme", 1)
    commit(book, ledger, snapshot=True)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "the disk failed")

    async def asked() -> None:
        history = _history(book, ledger)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            patched.setattr(os, "unlink", fail)
            assert (await _asked(history, "acme"))["error"] == "ledger"
        with monkeypatch.context() as patched:
            seal = NewFile.seal

            def sealed(new: NewFile) -> Any:
                found = seal(new)
                patched.setattr(os, "fsync", fail)  # from now on: the loop's own part
                patched.setattr(os, "unlink", fail)
                return found

            patched.setattr(NewFile, "seal", sealed)
            assert (await _asked(history, "acme"))["error"] == "ledger"
        assert (await _asked(history, "acme"))["rows"] > 0
        history.close()

    asyncio.run(asyncio.wait_for(asked(), 20))
    ledger.close()


def test_a_name_that_nothing_says_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    book, ledger = open_book(path)
    _do_everything(book, "acme", 1)
    commit(book, ledger, snapshot=True)
    before = (path.stat().st_ino, ledger.head)

    async def asked() -> None:
        history = _history(book, ledger)
        for dry_run in (True, False):
            done = await _asked(history, "globex", dry_run=dry_run)
            assert (done["rows"], done["texts"]) == (0, 0)
        assert (path.stat().st_ino, ledger.head) == before
        would = await _asked(history, "acme", dry_run=True)
        done = await _asked(history, "acme")
        assert (would["rows"], would["texts"]) == (done["rows"], done["texts"])
        history.close()

    asyncio.run(asked())
    assert path.stat().st_ino != before[0]
    ledger.close()
    assert verify_ledger(path).holds


@pytest.mark.parametrize(
    "command", [["forget", "customer=acme"], ["compact", "--before", "2026-01"]]
)
def test_where_there_is_no_ledger_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path))
    told = CliRunner().invoke(app, command)
    assert isinstance(told.exception, LedgerUnavailable) or told.exit_code == 4
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_forgotten_where_calls_were_only_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: who never recorded a call has no ledger, and can forget all the same."""
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path))
    table = tmp_path / "calls.csv"
    table.write_text("at,llm,tenant\n2026-11-20T10:00:00Z,gpt-6-luna,secret-corp\n")
    run = CliRunner().invoke
    mapping = "time=at,model=llm,customer=tenant"
    assert run(import_app, ["csv", str(table), "--map", mapping]).exit_code == 0
    table.unlink()
    counted = run(app, ["forget", "customer=secret-corp", "--dry-run"])
    assert (counted.exit_code, "1 imported record would be" in counted.output) == (0, True)
    told = run(app, ["forget", "customer=secret-corp"])
    assert told.exit_code == 0
    assert "it is customer=(forgotten " in told.output
    for file in tmp_path.iterdir():
        assert b"secret-corp" not in file.read_bytes()
    assert not (tmp_path / "ledger.sqlite3").exists()


def test_logs_that_say_the_name_are_told_and_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path))
    reply = {"attribute": "customer", "as": "X", "rows": 1, "texts": 1, "head": "00"}
    monkeypatch.setattr(forgetting, "wait_for", lambda *_, **__: dict(reply))
    (tmp_path / "ledger.sqlite3").touch()
    logs = {"daemon.log": "of `customer=acme`\n", "daemon.log.1": "acme", "daemon.log.2": "acmes"}
    for name, text in logs.items():
        (tmp_path / name).write_text(text)
    told = CliRunner().invoke(app, ["forget", "customer=acme"]).output
    assert told.count("a log still says it: ") == 2
    assert (tmp_path / "daemon.log").read_text() == logs["daemon.log"]
    told = CliRunner().invoke(app, ["forget", "customer=acme", "--erase-copies"]).output
    assert told.count("a log erased: ") == 2
    assert [(tmp_path / name).read_text() for name in logs] == ["", "", "acmes"]


def test_the_log_does_not_say_whose_change_was_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    book, ledger = open_book(tmp_path / "ledger.sqlite3")
    monkeypatch.setattr(logging.getLogger("noburn"), "propagate", True)
    end = {"n": 1, "op": "budget.rm", "scope": "customer=acme", "per": "day", "at_ms": START_MS + 1}
    assert shown(scheduling.remove_budget(book, read(end), START_MS))["ok"]
    scheduling.apply_due(book, START_MS + 1, {})
    assert "scheduled change 1 was not done: not_found" in caplog.text
    assert "acme" not in caplog.text
    assert "acme" in str(book.events[-1].failure)
    ledger.close()
