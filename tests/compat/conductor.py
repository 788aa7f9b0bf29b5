"""Runs one SDK's program under `noburn run` and judges every cell of its rows.

A program is ordered about line by line, so that the stub can be told beforehand how to answer and
the ledger and the bill can be read afterwards.  The customer of a call names its cell.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from noburn_cli.client import Client, new_call_id
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.demo.stub import BillingStub

CELLS = ("allowed", "blocked", "clamped", "waited", "stopped", "aborted")
#: How guests call their modes, and how the page does.
MODES = {"sync": "sync", "async": "async", "stream": "stream", "astream": "async stream"}
#: The output cap where a cell names one, and what the stub answers where nothing is below it.
CAP_TOKENS, ANSWER_TOKENS, LONG_TOKENS = 64, 40, 400
#: Longer than any program waits: nobody gets such an answer.
FOREVER_MS = 20_000
#: What noburn itself may take, in seconds; a guard against hanging, not a measurement.
PATIENCE_S = 30.0

#: The variables that name a provider's base URL, and what they want behind the host.
BASE_URLS: Mapping[str, Mapping[str, str]] = {
    "openai": {"OPENAI_BASE_URL": "/v1", "OPENAI_API_BASE": "/v1"},
    "anthropic": {"ANTHROPIC_BASE_URL": ""},
    "google": {"GOOGLE_GEMINI_BASE_URL": ""},
    "mistral": {"MISTRAL_API_BASE": "/mistral/v1"},
    "groq": {"GROQ_BASE_URL": "/groq"},
    "cohere": {"CO_API_URL": ""},
    "bedrock": {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": ""},
}

EXACT, COVERED, MISSING = "=", "≥", "–"


@dataclass
class Cell:
    """What a cell came to: EXACT, COVERED, MISSING (not applicable), or why it does not hold."""

    verdict: str
    why: str = ""

    @property
    def holds(self) -> bool:
        return not self.why


@dataclass
class Row:
    sdk: str
    name: str
    mode: str
    cells: dict[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Sdk:
    """One program: its label on the page, how it is started, and what needs saying of it.

    apis: whose base URLs name the stub: only its own, or one provider stands for another.
    no_cap: rows whose calls have no output cap.
    """

    label: str
    command: Sequence[str]
    way: str
    apis: Sequence[str]
    no_cap: frozenset[str] = frozenset()


@dataclass
class Report:
    """An SDK's version as installed, and its rows; `failure` when its program did not run."""

    sdk: Sdk
    version: str = ""
    rows: list[Row] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True)
class Seen:
    """One cell as all three have it: the program, the ledger, the provider."""

    error: dict[str, Any] | None
    calls: list[dict[str, Any]]
    billed_nano: int
    requests: int
    billed_calls: int

    @property
    def charged_nano(self) -> int:
        """Settled at cost, everything else that may be billed at its hold."""
        return sum(
            call["hold_nano"] if call["cost_nano"] is None else call["cost_nano"]
            for call in self.calls
            if call["state"] not in ("blocked", "refused", "voided")
        )

    @property
    def states(self) -> list[str]:
        return [call["state"] for call in self.calls]


class World:
    """A home with a daemon; the waiting cells of all programs take turns."""

    def __init__(self, home: Path, environment: Mapping[str, str], book: PriceBook) -> None:
        self.home = home
        self.environment = environment
        self.book = book
        self.client = Client(home)
        self.turn = threading.Lock()

    def calls(self, customer: str) -> list[dict[str, Any]]:
        columns = "state, cost_nano, hold_nano, clamped, waited_ms, detail"
        path = str(self.home / "ledger.sqlite3")
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(5000)
            sql = f"SELECT {columns} FROM calls WHERE customer = ? ORDER BY call"
            rows = list(connection.execute(sql, (customer,)))
        finally:
            connection.close()
        return [dict(zip(columns.split(", "), row, strict=True)) for row in rows]

    def ended_calls(self, customer: str) -> list[dict[str, Any]]:
        """The customer's calls as soon as nothing of it is held any more."""
        calls: list[dict[str, Any]] = []

        def ended() -> bool:
            calls[:] = self.calls(customer)
            return all(call["state"] != "held" for call in calls)

        wait_until(ended, step_s=0.1)
        return calls

    def limit(self, customer: str, nano: int) -> None:
        self.client.budget_set(
            scope=f"customer={customer}", per="total", limit={"unit": "dollars", "amount": nano}
        )


def wait_until(
    holds: Callable[[], bool], within_s: float = PATIENCE_S, step_s: float = 0.02
) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(step_s)
    return True


class Program:
    """The guest's process: orders in, results out."""

    def __init__(self, world: World, sdk: Sdk, stub: BillingStub) -> None:
        environment = {
            **world.environment,
            "STUB_URL": stub.url,
            **{name: stub.url + path for api in sdk.apis for name, path in BASE_URLS[api].items()},
        }
        noburn = [sys.executable, "-m", "noburn_cli", "run", "--lower-caps", "--floor", "16"]
        self._told = ""
        self._process = subprocess.Popen(
            [*noburn, "--", *sdk.command],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=reader, daemon=True)
            for reader in (self._read, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._told = (self._told + line)[-2000:]

    def say(self, value: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise GuestEndedError(self._told) from error

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def has_spoken(self) -> bool:
        return not self._lines.empty()

    def hear(self) -> dict[str, Any]:
        """The next line.  Raises GuestEndedError when there is none."""
        try:
            heard = self._lines.get(timeout=8 * PATIENCE_S)  # litellm takes its time to load
        except queue.Empty:
            raise GuestEndedError("it hangs") from None
        if heard is None:
            raise GuestEndedError(self._told)
        return heard

    def close(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(PATIENCE_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        for reader, pipe in zip(
            self._readers, (self._process.stdout, self._process.stderr), strict=True
        ):
            reader.join(PATIENCE_S)
            assert pipe is not None
            if not reader.is_alive():  # Otherwise somebody of the run is still writing.
                pipe.close()


class GuestEndedError(Exception):
    """The program under test has ended, with what it wrote to standard error."""


class Conductor:
    """Goes through an SDK's rows, cell by cell."""

    def __init__(self, world: World, sdk: Sdk, number: int) -> None:
        self.world = world
        self.sdk = sdk
        self.number = number
        self.report = Report(sdk)

    def conduct(self) -> Report:
        with BillingStub(book=self.world.book) as stub:
            program = Program(self.world, self.sdk, stub)
            try:
                self._all_rows(program, stub)
            except GuestEndedError as error:
                self.report.failure = str(error).strip() or "it ended without a word"
            finally:
                program.close()
        return self.report

    def _all_rows(self, program: Program, stub: BillingStub) -> None:
        hello = program.hear()
        self.report.version = hello["version"]
        for name, modes in hello["rows"].items():
            for mode in (mode.rstrip("_") for mode in modes):
                row = Row(self.sdk.label, name, mode)
                self.report.rows.append(row)
                turn = Turn(self, row, program, stub)
                row.cells["allowed"] = turn.allowed()
                row.cells["blocked"] = turn.blocked()
                row.cells["clamped"] = turn.clamped()
                row.cells["waited"] = turn.waited()
                row.cells["aborted"] = turn.aborted()
        self._stop(program, stub, hello["run"])

    def _stop(self, program: Program, stub: BillingStub, run: str) -> None:
        turns = [Turn(self, row, program, stub) for row in self.report.rows]
        started = [turn.start_slowly(100 + i) for i, turn in enumerate(turns)]
        self.world.client.request("run.stop", run=run, reason="the matrix stops it")
        # Let the stub find out who is gone, but nobody else get an answer.
        for turn in turns:
            self.world.ended_calls(turn.customer("stopped"))
        stub.hurry.set()
        errors = {}
        for _ in started:
            try:
                heard = program.hear()
            except GuestEndedError:
                break  # The run is over: what it saw can't be asked, what it cost can.
            errors[heard["customer"]] = heard["error"]
        stub.wait_idle()
        for turn, tokens in zip(turns, started, strict=True):
            turn.row.cells["stopped"] = turn.stopped(tokens, errors)


class Turn:
    """One row in all its cells."""

    def __init__(self, conductor: Conductor, row: Row, program: Program, stub: BillingStub) -> None:
        self.world = conductor.world
        self.row = row
        self.program = program
        self.stub = stub
        self.uncapped = row.name in conductor.sdk.no_cap
        place = conductor.report.rows.index(row)
        self.prefix = f"s{conductor.number}-{place}"

    def order(
        self,
        cell: str,
        *,
        cap: int | None = CAP_TOKENS,
        meanwhile: Callable[[], None] | None = None,
        **defaults: int,
    ) -> Seen:
        """Have one cell's call made, and look at it from all sides.

        meanwhile: done after the order has been given.
        defaults: the stub's, by name without `x-stub-`.
        """
        self._tell_stub({"output_tokens": ANSWER_TOKENS, **defaults})
        requests, billed = len(self._paid_requests()), len(self.stub.bill.calls)
        self._say(cell, cap)
        if meanwhile is not None:
            meanwhile()
        try:
            error = self.program.hear()["error"]
            calls = self.world.ended_calls(self.customer(cell))
        finally:
            self.stub.hurry.set()
        self.stub.wait_idle()
        self.stub.hurry.clear()
        bill = self.stub.bill.calls[billed:]
        return Seen(
            error, calls, sum(call.nano for call in bill),
            len(self._paid_requests()) - requests, len(bill),
        )  # fmt: skip

    def customer(self, cell: str) -> str:
        return f"{self.prefix}-{cell}"

    def allowed(self) -> Cell:
        return self._known(self.order("allowed"))

    def blocked(self) -> Cell:
        self.world.limit(self.customer("blocked"), 1)
        seen = self.order("blocked")
        if seen.requests or seen.billed_calls:
            return Cell("✗", "the call went out although its budget was spent")
        if seen.states != ["blocked"]:
            return Cell("✗", f"the ledger has {seen.states}, not one block: tried again")
        if seen.error is None:
            return Cell("✗", "the program saw no error")
        if "noburn" not in seen.error["message"]:
            return Cell("✗", f"the program saw {seen.error['type']} without our words")
        return Cell(EXACT)

    def clamped(self) -> Cell:
        if self.uncapped:
            return Cell(MISSING)
        holds = [call["hold_nano"] for call in self.world.calls(self.customer("allowed"))]
        if not holds or not holds[0]:
            return Cell("✗", "nothing to measure it by: see allowed")
        self.world.limit(self.customer("clamped"), holds[0])
        seen = self.order("clamped", cap=None, output_tokens=LONG_TOKENS)
        if seen.calls and not seen.calls[-1]["clamped"]:
            return Cell("✗", f"not clamped: {seen.states} {seen.error}")
        return self._known(seen)

    def waited(self) -> Cell:
        """Somebody else holds all the money, until this call waits for it."""
        customer = self.customer("waited")
        call, hold_nano = self._hold_much(customer)
        self.world.limit(customer, hold_nano)

        def wait_and_release() -> None:
            def waits() -> bool:
                return bool(self.world.client.status()["waiters"]) or self.program.has_spoken

            wait_until(waits)
            time.sleep(0.02)  # the ledger counts its waiting in milliseconds
            self.world.client.void(call, reason="released")

        with self.world.turn:
            seen = self.order("waited", meanwhile=wait_and_release)
        own = [call for call in seen.calls if call["state"] != "voided"]
        if own and not own[-1]["waited_ms"]:
            return Cell("✗", f"did not wait: {seen.states}")
        return self._known(Seen(seen.error, own, *_counts(seen)))

    def aborted(self) -> Cell:
        if "stream" in self.row.mode:
            return self._covered(self.order("aborted", chunk_delay_ms=30))
        before = len(self._paid_requests())

        def say_go() -> None:
            self._wait_for_arrival("aborted", before)
            if self.row.mode == "async":
                self.program.say("go")

        seen = self.order("aborted", meanwhile=say_go, delay_ms=FOREVER_MS)
        if seen.error is None and seen.calls:
            return Cell(MISSING)  # Its API has no timeout.
        return self._covered(seen)

    def start_slowly(self, tokens: int) -> int:
        """Start a call whose answer would take forever; its length tells it apart in the bill."""
        streams = "stream" in self.row.mode
        slowly = {"chunk_delay_ms": FOREVER_MS} if streams else {"delay_ms": FOREVER_MS}
        self._tell_stub({"output_tokens": tokens, **slowly})
        before = len(self._paid_requests())
        self._say("stopped", LONG_TOKENS)
        self._wait_for_arrival("stopped", before)
        return tokens

    def stopped(self, tokens: int, errors: Mapping[str, Any]) -> Cell:
        customer = self.customer("stopped")
        calls = self.world.ended_calls(customer)
        bill = [call for call in self.stub.bill.calls if call.usage.get("output") == tokens]
        seen = Seen(
            errors.get(customer), calls, sum(call.nano for call in bill), len(bill), len(bill)
        )
        if bill and not any(call.disconnected for call in bill):
            return Cell("✗", "the answer was not cut")
        return self._covered(seen)

    def _known(self, seen: Seen) -> Cell:
        """A call whose usage is known: one, settled, equal to the bill to the nano-dollar."""
        if seen.error is not None:
            return Cell("✗", f"{seen.error['type']}: {seen.error['message'][:200]}")
        if not seen.calls:
            return Cell("✗", f"not guarded: the provider billed {seen.billed_nano} n$")
        if seen.states != ["settled"]:
            return Cell("✗", f"booked as {seen.states}")
        if seen.charged_nano != seen.billed_nano:
            return Cell("✗", f"ours {seen.charged_nano} n$, the bill {seen.billed_nano} n$")
        return Cell(EXACT)

    def _covered(self, seen: Seen) -> Cell:
        """A call whose usage nobody told: charged, never below the bill."""
        if not seen.calls:
            return Cell("✗", f"not guarded: the provider billed {seen.billed_nano} n$")
        if seen.charged_nano < seen.billed_nano:
            return Cell("✗", f"ours {seen.charged_nano} n$ below the bill {seen.billed_nano} n$")
        return Cell(EXACT if seen.charged_nano == seen.billed_nano else COVERED)

    def _wait_for_arrival(self, cell: str, before: int) -> None:
        """Until the provider has the request, or never will because it was stopped before it."""

        def arrived() -> bool:
            return len(self._paid_requests()) > before

        while not wait_until(arrived, 0.5):
            calls = self.world.calls(self.customer(cell))
            if any(call["state"] != "held" for call in calls) or self.program.has_ended:
                return

    def _say(self, cell: str, cap: int | None) -> None:
        self.program.say(
            {"row": self.row.name, "mode": self.row.mode, "cell": cell,
             "customer": self.customer(cell), "cap": None if self.uncapped else cap}
        )  # fmt: skip

    def _tell_stub(self, wishes: Mapping[str, int]) -> None:
        self.stub.defaults.clear()
        self.stub.defaults["x-stub-on-disconnect"] = "run_on"
        for name, value in wishes.items():
            self.stub.defaults["x-stub-" + name.replace("_", "-")] = str(value)

    def _paid_requests(self) -> list[dict[str, Any]]:
        counts = ("/count_tokens", "/input_tokens", ":countTokens")
        return [r for r in self.stub.requests if not r["path"].endswith(counts)]

    def _hold_much(self, customer: str) -> tuple[str, int]:
        call = new_call_id()
        reply = self.world.client.reserve(
            {"call": call, "api": "openai_chat", "model": "gpt-6.1-sol",
             "attrs": {"customer": customer},
             "input": {"bytes": 1, "expanded": 1, "overhead": 0, "tokens": 0, "window": False,
                       "counted": None},
             "input_kinds": ["input"], "variants": ["standard"], "texts": None, "wait_ms": 0,
             "output": {"wanted": 100_000, "floor": 1, "choices": 1, "clamp": False}}
        )  # fmt: skip
        assert reply["ok"], reply
        return call, int(reply["hold_nano"])


def _counts(seen: Seen) -> tuple[int, int, int]:
    return seen.billed_nano, seen.requests, seen.billed_calls
