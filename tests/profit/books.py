"""Ledgers and revenue files for tests: written by the daemon's own book and by `import revenue`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from typer.testing import CliRunner, Result

from noburn_cli.cli import app
from noburn_daemon import ending, frames, reserving
from tests.daemon.parts import commit, open_book, reserve_frame

HEADING = (
    "id,date,amount,currency,kind,state,customer,payer,feature,plan,starts,ends,reverses,rate\n"
)


@dataclass(frozen=True)
class Call:
    """One settled call.  at: `2026-11-03T10:00`, in UTC."""

    at: str
    customer: str = ""
    feature: str = ""
    output: int = 1000
    input: int = 100
    model: str = "gpt-6-luna"
    end: str = "settle"


def at_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)


def write_ledger(path: Path, calls: Iterable[Call]) -> None:
    """A ledger with these calls, which must be in the order of time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = ledger = None
    for number, call in enumerate(calls):
        now_ms = at_ms(call.at)
        if book is None or ledger is None:
            book, ledger = open_book(path, now_ms)
        name = f"{now_ms:011x}-{number:020x}"
        said = {"customer": call.customer, "feature": call.feature}
        attrs = {key: value for key, value in said.items() if value}
        output = {"wanted": 100_000, "floor": 1, "choices": 1, "clamp": False}
        frame = reserve_frame(name, attrs=attrs, model=call.model, output=output)
        reserve = frames.decode(json.dumps(frame).encode())
        reserving.reserve(book, reserve, owner="b:1:1", caller=None, now_ms=now_ms)
        if call.end == "settle":
            usage = {"input": call.input, "output": call.output}
            settle = {"n": 1, "op": "settle", "call": name, "usage": usage}
            ending.settle(book, frames.decode(json.dumps(settle).encode()), now_ms + 1)
        if number % 500 == 499:
            commit(book, ledger, snapshot=True)
    assert book is not None
    assert ledger is not None
    commit(book, ledger, snapshot=True)
    ledger.close()


def import_revenue(folder: Path, lines: Iterable[str], *options: str) -> None:
    path = folder / "revenue.csv"
    path.write_text(HEADING + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    noburn("import", "revenue", str(path), *options)


def import_calls(folder: Path, calls: Iterable[str], *, model: str = "gpt-6-luna") -> None:
    """`noburn import csv` of lines `time,customer,feature,usd`."""
    path = folder / "calls.csv"
    heading = "id,time,customer,feature,usd,model,input,output\n"
    lines = (f"i{at},{line},{model},100,1000\n" for at, line in enumerate(calls))
    path.write_text(heading + "".join(lines), encoding="utf-8")
    fields = ("id", "time", "model", "input", "output", "customer", "feature", "cost=usd")
    mapped = ",".join(one if "=" in one else f"{one}={one}" for one in fields)
    noburn("import", "csv", str(path), "--map", mapped)


def noburn(*words: str) -> Result:
    """Run a command in this process; its errors are raised."""
    result = CliRunner().invoke(app, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def pnl(*options: str) -> dict:
    """`noburn pnl --json` as data."""
    return json.loads(noburn("pnl", "--json", *options).stdout)["data"]
