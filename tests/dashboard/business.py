"""A small business's ledger: weeks of calls, made through the daemon's own book at their moments.

Not a test.  The same seed makes the same calls.
"""

from __future__ import annotations

import csv
import json
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from noburn_daemon import ending, frames, policy, reserving
from noburn_daemon.pricing import Pricing
from noburn_daemon.restore import restore, take_snapshot
from noburn_daemon.sqlite import SqliteLedger

DAY_MS = 86_400_000
MODELS = ("gpt-6.1-sol", "claude-sonnet-5-5", "gpt-6-luna", "gpt-6.1-terra")
CUSTOMERS = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne")
FEATURES = ("research", "chat", "summaries", "search")
#: A name that would be markup, a script and a turned direction, were it read as more than a name.
EVIL = "<img src=x onerror=\"document.title='owned'\"><b>bold</b>&amp;\u202egpj"
#: Dollars for each hundred calls: small enough that a few calls are blocked.
BUDGETS = (
    ("customer=*", "month", 0.6), ("global", "day", 2), ("project=app", "total", 50),
    ("feature=chat", "24h", 0.3),
)  # fmt: skip


def revenue_csv(path: Path) -> None:
    """What customers pay this month: some more than they cost, some less, one whom nobody knows."""
    first = datetime.now(UTC).date().replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    rows = [("id", "date", "amount", "kind", "state", "customer", "payer", "payer_name", "plan",
             "starts", "ends")]  # fmt: skip
    paid = (("acme", "0.50", "collected"), ("globex", "49", "collected"),
            ("initech", "19", "invoiced"), ("umbrella", "99", "draft"),
            (EVIL, "9", "collected"), ("", "29", "collected"))  # fmt: skip
    for number, (customer, amount, state) in enumerate(paid):
        payer = (f"cus_{number}", f"{EVIL} & Sons")
        spans = (first.isoformat(), following.isoformat())
        rows.append((f"i{number}", spans[0], amount, "subscription", state, customer, *payer, "pro",
                     *spans))  # fmt: skip
    rows.append(("f1", first.isoformat(), "-1.72", "fee", "collected", "globex", "cus_1", "", "",
                 "", ""))  # fmt: skip
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def build(path: Path, *, days: int, calls: int, seed: int = 7, now_ms: int | None = None) -> None:
    """Write a ledger of `calls` calls of the last `days` days, the last of them now.

    Half of them are evenly over these days, and half over the month as far as it has come: on its
    first morning, too, there is something to see.
    """
    chance = random.Random(seed)
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    began = now_ms - days * DAY_MS
    prices = PriceBook.from_texts([resources.shipped_prices()])
    ledger = SqliteLedger(path, now_ms=began)
    ledger.store_book(prices.version, list(prices.texts))
    book = restore(ledger, Pricing(prices, ledger.book_texts), began)
    for scope, per, dollars in BUDGETS:
        limit = frames.LimitSpec(unit="dollars", amount=int(dollars * calls * 10**7))
        policy.set_budget(book, frames.BudgetSet(n=1, scope=scope, per=per, limit=limit), began)
    for number, at_ms in enumerate(_moments(began, now_ms, calls)):
        weights = range(len(CUSTOMERS), 0, -1)
        attributes = {
            "project": "app",
            "customer": chance.choices(CUSTOMERS, weights=[w**2 for w in weights])[0],
            "feature": chance.choices(FEATURES, weights=(5, 4, 2, 1))[0],
        }
        if number % 40 == 0:
            attributes["customer"] = EVIL
        model = chance.choices(MODELS, weights=(5, 4, 3, 1))[0]
        tokens = int(chance.lognormvariate(9.5, 0.7)), int(chance.lognormvariate(7.2, 0.6))
        _call(book, f"{at_ms:011x}-{number:08x}", model, attributes, tokens, at_ms)
    events, book.events = book.events, []
    ledger.append(events, take_snapshot(book))
    ledger.close()


def _moments(began_ms: int, now_ms: int, calls: int) -> list[int]:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month_ms = max(began_ms, int(month.timestamp() * 1000))
    shares = ((began_ms, calls // 2), (month_ms, calls - calls // 2))
    return sorted(
        since + (now_ms - since) * (number + 1) // count
        for since, count in shares
        for number in range(count)
    )


def _call(
    book: object, call: str, model: str, attributes: dict[str, str], tokens: Sequence[int],
    at_ms: int,
) -> None:  # fmt: skip
    """Reserve and settle, at one moment; one that is blocked ends with that."""
    api = "anthropic_messages" if model.startswith("claude") else "openai_chat"
    asked = {
        "n": 1, "op": "reserve", "call": call, "api": api, "model": model, "attrs": attributes,
        "input": {"bytes": 4 * tokens[0], "expanded": 4 * tokens[0], "overhead": 17,
                  "tokens": tokens[0], "window": False, "counted": tokens[0]},
        "input_kinds": ["input", "cache_read"], "variants": ["standard"],
        "output": {"wanted": tokens[1], "floor": tokens[1], "choices": 1, "clamp": False},
        "wait_ms": 0, "texts": None, "refined": True,
    }  # fmt: skip
    frame = frames.decode(json.dumps(asked).encode())
    reserving.reserve(book, frame, owner="boot/1/2", caller=None, now_ms=at_ms)
    used = {"input": tokens[0] * 3 // 4, "cache_read": tokens[0] // 4, "output": tokens[1]}
    bill = {"n": 1, "op": "settle", "call": call, "usage": used, "variant": "standard",
            "latency_ms": 900, "status": 200}  # fmt: skip
    ending.settle(book, frames.decode(json.dumps(bill).encode()), at_ms)
