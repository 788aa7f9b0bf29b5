"""Revenue from a CSV, for those who bill without Stripe: one fact a line, by columns that we name.

Layer: revenue.  Below: core.revenue, core.currencies, revenue.store, revenue.rating.
Above: commands.importing.revenue_file.
Owns: the columns (docs/revenue.md has the same table), which lines are refused and why.
Every line is read before anything is written: a file with one bad line changes nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timezone
from pathlib import Path
from typing import TextIO

from noburn_cli.core.budgets import check_value
from noburn_cli.core.currencies import USD, read_currency, read_minor, read_rate
from noburn_cli.core.plurals import counted
from noburn_cli.core.recognition_days import YEARS
from noburn_cli.core.revenue import (
    COLLECTED,
    KINDS,
    ONE_OFF,
    STATES,
    SUBSCRIPTION,
    RevenueFact,
    to_nano,
)
from noburn_cli.errors import InputRefused, NoburnError
from noburn_cli.revenue.rating import Rates, stored_rates
from noburn_cli.revenue.store import RevenueStore

SOURCE = "csv"
NEEDED = ("id", "date", "amount")
COLUMNS = (
    *(*NEEDED, "currency", "kind", "state", "customer", "payer", "payer_name", "feature", "plan"),
    *("starts", "ends", "document", "reverses", "rate", "seats"),
)
#: So many bad lines are shown; the others are counted.
_SHOWN_MAX = 20
_FIELD_CHARS_MAX = 1_000
#: The source of a rate that stands in the line itself.
_OWN = "the file's own"


@dataclass(frozen=True)
class Read:
    """What an import did: facts that are new, that changed, and that were there as they are."""

    new: int
    changed: int
    same: int


def read_csv(path: Path, *, rates: Rates) -> list[RevenueFact]:
    """The facts of a file.

    rates: for lines in other currencies that give none themselves.
    Raises InputRefused, naming the bad lines.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _facts(path, file, rates)
    except OSError as error:
        raise InputRefused(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputRefused(f"{path} is not UTF-8 text", why=str(error)) from error


def store_facts(store: RevenueStore, facts: Iterable[RevenueFact]) -> Read:
    """Keep the facts of a file: a known id is replaced, whatever is not in the file stays."""
    known = {fact.id: fact for fact in store.facts(sources=[SOURCE])}
    new = changed = same = 0
    with store.change():
        for fact in facts:
            before = known.get(fact.id)
            # A customer of the identity file is not the line's own; it is laid over when read.
            if before is not None and replace(before, customer=fact.customer) == fact:
                same += 1
            elif before is None:
                new += 1
            else:
                changed += 1
            store.replace(SOURCE, fact.id, [fact])
    return Read(new, changed, same)


def price_again(store: RevenueStore) -> None:
    """Inside `change`: price the lines anew that the table of rates prices."""
    rates = stored_rates(store)
    for fact in store.facts(sources=[SOURCE]):
        if fact.currency != USD and fact.rate_source != _OWN:
            one = rates.priced(fact)
            store.connection.execute(
                "UPDATE facts SET (amount_nano, rate, rate_source) = (?, ?, ?) WHERE id = ?",
                (one.amount_nano, one.rate, one.rate_source, one.id),
            )


def _facts(path: Path, file: TextIO, rates: Rates) -> list[RevenueFact]:
    rows = csv.DictReader(file, strict=True)
    faults: list[str] = []
    found: dict[str, RevenueFact] = {}
    try:
        _check_heading(path, rows.fieldnames or ())
        for row in rows:
            line = rows.line_num
            try:
                fact = _fact(row, rates)
                if fact.id in found:
                    raise ValueError(f"the id {row['id']!r} is in the file twice")
                found[fact.id] = fact
            except (ValueError, NoburnError) as error:
                faults.append(f"line {line}: {error}")
    except csv.Error as error:
        faults.append(f"line {rows.line_num}: it is not CSV: {error}")
    if faults:
        raise _refused(path, faults)
    return list(found.values())


def _check_heading(path: Path, heading: Iterable[str]) -> None:
    names = list(heading)
    missing = [name for name in NEEDED if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if "customer" not in names and "payer" not in names:
        missing.append("customer (or payer)")
    if missing or unknown:
        what = f"it has no column {', '.join(missing)}" if missing else "its heading is not ours"
        raise InputRefused(
            f"{path}: {what}",
            why=f"unknown: {', '.join(map(repr, unknown))}" if unknown else "each line needs it",
            next_step=f"columns are {', '.join(COLUMNS)}; docs/revenue.md describes each",
        )


def _refused(path: Path, faults: list[str]) -> InputRefused:
    shown = faults[:_SHOWN_MAX]
    if len(faults) > len(shown):
        shown.append(f"and {counted(len(faults) - len(shown), 'more line')}")
    return InputRefused(
        f"{path}: {counted(len(faults), 'line')} cannot be read, so nothing was imported: "
        + "; ".join(shown),
        next_step="mend them, then run the same command again: what is known is not doubled",
    )


def _fact(row: Mapping[str, str | None], rates: Rates) -> RevenueFact:
    """One line.  Raises ValueError or NoburnError saying what is wrong with it."""
    if None in row or None in row.values():
        raise ValueError("it has another number of fields than the heading")
    said = {name: (value or "").strip() for name, value in row.items()}
    if any(len(value) > _FIELD_CHARS_MAX for value in said.values()):
        raise ValueError(f"a field is longer than {_FIELD_CHARS_MAX:,} characters")
    if not said["id"]:
        raise ValueError("it has no id, by which it is known when it comes again")
    customer, payer = said.get("customer", ""), said.get("payer", "")
    if not customer and not payer:
        raise ValueError("it names neither a customer nor a payer")
    currency = read_currency(said.get("currency") or USD)
    at_ms = _moment(said["date"])
    starts_ms = _moment(said["starts"]) if said.get("starts") else at_ms
    ends_ms = _moment(said["ends"]) if said.get("ends") else starts_ms
    reverses = said.get("reverses", "")
    fact = RevenueFact(
        id=f"{SOURCE}:{said['id']}", source=SOURCE, kind=_one_of(said.get("kind"), KINDS, ONE_OFF),
        payer=payer or customer, payer_name=said.get("payer_name", ""),
        customer=check_value("customer", customer) if customer else None,
        feature=_attribute("feature", said), plan=said.get("plan") or None,
        amount_minor=read_minor(said["amount"], currency), currency=currency, amount_nano=0,
        rate="", rate_source="", starts_ms=starts_ms, ends_ms=ends_ms, at_ms=at_ms,
        document=said.get("document") or said["id"],
        state=_one_of(said.get("state"), STATES, COLLECTED),
        reverses=f"{SOURCE}:{reverses}" if reverses else "",
        seats=_seats(said),
    )  # fmt: skip
    own = said.get("rate", "")
    if not own or currency == USD:
        if own:
            raise ValueError("an amount in USD takes no rate")
        return rates.priced(fact)
    nano = to_nano(fact.amount_minor, currency, read_rate(own))
    return replace(fact, amount_nano=nano, rate=own, rate_source=_OWN)


def _seats(said: Mapping[str, str]) -> int | None:
    text = said.get("seats", "")
    if not text:
        return None
    if said.get("kind") != SUBSCRIPTION or not (text.isascii() and text.isdecimal()):
        raise ValueError(f"seats are a whole number, of a {SUBSCRIPTION}: not {text!r}")
    return int(text)


def _attribute(name: str, said: Mapping[str, str]) -> str | None:
    value = said.get(name, "")
    return check_value(name, value) if value else None


def _one_of(word: str | None, known: tuple[str, ...], default: str) -> str:
    if not word:
        return default
    if word not in known:
        raise ValueError(f"{word!r} is not one of {', '.join(known)}")
    return word


def _moment(text: str) -> int:
    """`2026-10-01` (its first moment in UTC) or `2026-10-01T09:30:00+02:00`, epoch ms."""
    try:
        if len(text) == len("2026-10-01"):
            moment = datetime.combine(date.fromisoformat(text), time(), timezone.utc)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no day like 2026-10-01, nor a time with its offset"
        ) from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset: write Z or +02:00 behind it")
    if moment.year not in YEARS:
        raise ValueError(
            f"{text!r} is not of the years {YEARS[0]} to {YEARS[-1]}: leave `ends` empty where "
            "nothing ends"
        )
    return round(moment.timestamp() * 1000)


def read_identities(path: Path) -> dict[str, str]:
    """`payer,customer` lines: noburn's customer by payer.  Raises InputRefused."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return dict(_pairs(path, file))
    except OSError as error:
        raise InputRefused(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputRefused(f"{path} is no CSV in UTF-8", why=str(error)) from error


def _pairs(path: Path, file: TextIO) -> Iterator[tuple[str, str]]:
    rows = csv.DictReader(file, strict=True)
    if not {"payer", "customer"} <= set(rows.fieldnames or ()):
        raise InputRefused(
            f"{path} has no columns payer and customer",
            next_step="its first line is payer,customer; then a line like cus_123,acme",
        )
    seen: dict[str, str] = {}
    for row in rows:
        payer, customer = (row["payer"] or "").strip(), (row["customer"] or "").strip()
        fault = "" if payer and customer else "a payer and a customer are needed"
        if seen.setdefault(payer, customer) != customer:
            fault = f"{payer} has another customer further up"
        try:
            check_value("customer", customer)
        except NoburnError as error:
            fault = fault or error.message
        if fault:
            raise InputRefused(f"{path}, line {rows.line_num}: {fault}")
        yield payer, customer
