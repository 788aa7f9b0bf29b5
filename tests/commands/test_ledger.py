"""`noburn ledger`: an edit is found and named; every charged call without a bill is listed."""

from __future__ import annotations

import json
import os
from typing import Any

import apsw
import pytest


def _edit(home: Any, *statements: str) -> None:
    """Change the file behind the daemon's back, its triggers taken away."""
    home.stop()
    connection = apsw.Connection(str(home.ledger))
    try:
        for trigger in ("journal_is_kept", "journal_is_unchanged"):
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)
            assert connection.changes(), statement
    finally:
        connection.close()


def _verify(home: Any, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = home.noburn("ledger", "verify", "--json", *arguments)
    return done.returncode, json.loads(done.stdout)["data"]


def test_a_sound_ledger(filled: Any) -> None:
    done = filled.noburn("ledger", "verify")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the ledger holds: ")
    code, data = _verify(filled)
    assert (code, data["holds"], data["balances"]) == (0, True, 2)


def test_a_changed_row_is_named(filled: Any) -> None:
    _edit(filled, "UPDATE journal SET cost_nano = 1 WHERE call = 'c1' AND kind = 'settle'")
    code, data = _verify(filled)
    assert code == 1
    assert data["bad_row"] == "settle c1"
    done = filled.noburn("ledger", "verify")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the ledger is broken at row {data['bad_seq']} (settle c1)" in done.stderr


def test_a_deleted_row_is_found(filled: Any) -> None:
    _edit(filled, "DELETE FROM journal WHERE call = 'c4' AND kind = 'void'")
    assert _verify(filled)[0] == 1


def test_rows_cut_from_the_end_need_a_head_kept_elsewhere(filled: Any) -> None:
    filled.stop()
    head = _verify(filled)[1]["head"]
    _edit(filled, "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")
    code, data = _verify(filled, "--head", head)
    assert code == 1
    assert data["bad_row"] is None


def test_what_came_since_a_head_is_checked_alone(filled: Any, reserve: Any) -> None:
    before = _verify(filled)[1]
    with filled.client() as client:
        assert client.reserve(reserve("c9"))["ok"]
        client.void("c9", reason="connection refused")
    code, data = _verify(filled, "--since", before["head"])
    assert (code, data["since_row"], data["rows"]) == (0, before["rows"], 2)
    assert data["balances"] is None
    said = filled.said("ledger", "verify", "--since", before["head"])
    assert f"2 rows after row {before['rows']}, balances not looked at" in said
    _edit(filled, "UPDATE journal SET failure = 'x' WHERE call = 'c9' AND kind = 'void'")
    code, data = _verify(filled, "--since", before["head"])
    assert (code, data["bad_row"]) == (1, "void c9")
    done = filled.noburn("ledger", "verify", "--since", "00" * 32)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no row of the ledger has the head" in done.stderr


def test_a_changed_text_is_found(filled: Any) -> None:
    _edit(filled, "UPDATE names SET text = replace(text, 'acme', 'evil') WHERE kind = 'context'")
    code, data = _verify(filled)
    assert (code, data["bad_seq"]) == (1, None)
    assert data["bad_name"] is not None


def test_a_changed_price_book_is_found(filled: Any) -> None:
    _edit(filled, "UPDATE books SET texts = replace(texts, 'input = 2', 'input = 1')")
    code, data = _verify(filled)
    assert (code, data["bad_seq"], data["bad_name"]) == (1, None, None)
    assert data["bad_book"]


def test_a_changed_balance_is_found(filled: Any) -> None:
    _edit(filled, "UPDATE accounts SET settled = settled - 1 WHERE settled > 0")
    code, data = _verify(filled)
    assert code == 1
    [wrong] = data["wrong_balances"]
    assert (wrong["budget"], wrong["key"]) == ("customer=* per month", "customer=acme")
    assert (wrong["stored"], wrong["recomputed"]) == ("0.000631899", "0.0006319")


def test_a_damaged_file_is_said_to_be_damaged(filled: Any) -> None:
    filled.stop()
    content = bytearray(filled.ledger.read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 8192 - 4096)  # Past the schema's pages.
    filled.ledger.write_bytes(content)
    for arguments in (("ledger", "verify"), ("report",), ("why", "c1"), ("ledger", "orphans")):
        done = filled.noburn(*arguments)
        assert (done.stdout, done.returncode) == ("", 4), arguments
        assert "restore the file from a backup" in done.stderr or "cannot be read" in done.stderr


@pytest.mark.parametrize("head", ["zz", "abcd"])
def test_a_head_that_is_none(filled: Any, head: str) -> None:
    done = filled.noburn("ledger", "verify", "--head", head)
    assert done.returncode == 2
    assert "--head is not a link" in done.stderr


def test_orphans_and_uncertain_calls_are_listed(filled: Any) -> None:
    data = json.loads(filled.said("ledger", "orphans", "--json"))["data"]
    states = {call["call"]: call["state"] for call in data["calls"]}
    assert states == {"c3": "uncertain", "c7": "orphaned"}
    assert data["charged_usd"] == "0.0003434"
    pids = {call["call"]: call["pid"] for call in data["calls"]}
    assert pids["c3"] == os.getpid()
    assert pids["c7"] not in (None, os.getpid())
    table = filled.said("ledger", "orphans")
    assert "the process that made it is gone" in table
    assert "2 charged at their holds, $0.0003434" in table


def test_no_orphans(home: Any) -> None:
    home.said("daemon", "start")
    done = home.noburn("ledger", "orphans")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no orphans" in done.stderr


def test_no_ledger(home: Any) -> None:
    assert home.noburn("ledger", "verify").returncode == 4
    assert home.noburn("ledger", "orphans").returncode == 4


def test_a_call_is_settled_by_hand_and_taken_back(filled: Any) -> None:
    settle = ("ledger", "orphans", "settle")
    for wrong, code in (
        (("c3",), 2),  # no reason
        (("c3", "--reason", "x"), 2),  # nothing is said of its cost
        (("c3", "--reason", "x", "--cost", "1", "--void"), 2),
        (("c3", "--reason", "x", "--usage", "inputs=5"), 2),
        (("c1", "--reason", "x", "--void"), 1),  # it has its bill
    ):
        done = filled.noburn(*settle, *wrong)
        assert (done.returncode, done.stdout) == (code, ""), wrong
    before = json.loads(filled.said("report", "--json"))["data"]["total"]["cost_usd"]
    told = filled.said(*settle, "c3", "--reason", "the dashboard", "--cost", "$0.0001")
    assert told.startswith("call c3 is settled at $0.0001, instead of $0.0001717;\n")
    why = filled.said("why", "c3")
    assert "THE BILL SAYS $0.0001 (by_hand, by " in why
    assert ": the dashboard)" in why
    done = filled.said(*settle, "c7", "--reason", "no such request there", "--void", "--json")
    data = json.loads(done)["data"]
    assert (data["call"], data["state"], data["cost_usd"]) == ("c7", "voided", "0")
    assert json.loads(filled.said("ledger", "orphans", "--json"))["data"]["calls"] == []
    after = json.loads(filled.said("report", "--json"))["data"]["total"]["cost_usd"]
    assert float(before) - float(after) == pytest.approx(0.0001717 * 2 - 0.0001)
    assert filled.noburn(*settle, "c3", "--reason", "x", "--void").returncode == 1  # once
    [who] = _rows(filled, "SELECT detail FROM journal WHERE kind = 'correction' AND call = 'c3'")
    assert json.loads(who)["reason"] == "the dashboard"
    assert json.loads(who)["by"]
    assert "took 1 correction back" in filled.said("ledger", "reconcile", "--undo", data["id"])
    [left] = json.loads(filled.said("ledger", "orphans", "--json"))["data"]["calls"]
    assert (left["call"], left["charged_usd"]) == ("c7", "0.0001717")
    assert filled.noburn("ledger", "verify").returncode == 0


def _rows(home: Any, query: str) -> list[str]:
    connection = apsw.Connection(str(home.ledger), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [str(row[0]) for row in connection.execute(query)]
    finally:
        connection.close()
