"""One row in all its cells: what is set up, what is ordered, and what has to come of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from noburn_cli.client import new_call_id
from noburn_cli.demo.stub import BillingStub
from tests.compat.results import COVERED, EXACT, MISSING, Cell, Row, Seen
from tests.compat.world import Program, World, wait_until

#: The output cap where a cell names one, and what the stub answers where nothing is below it.
CAP_TOKENS, ANSWER_TOKENS, LONG_TOKENS = 64, 40, 400
#: Longer than any program waits: nobody gets such an answer.
FOREVER_MS = 20_000
#: How long a program that has a timeout alone waits, in seconds; on a busy machine, in which the
#: request had not arrived by then, longer.
GIVES_UP_S = (0.5, 4.0, 16.0)


class Turn:
    """One row in all its cells.

    prefix: of its customers.  uncapped: whether its calls have no output cap.
    """

    def __init__(
        self, world: World, row: Row, program: Program, stub: BillingStub, *,
        prefix: str, uncapped: bool,
    ) -> None:  # fmt: skip
        self.world = world
        self.row = row
        self.program = program
        self.stub = stub
        self.prefix = prefix
        self.uncapped = uncapped

    def order(
        self,
        cell: str,
        *,
        cap: int | None = CAP_TOKENS,
        gives_up_s: float = GIVES_UP_S[0],
        meanwhile: Callable[[], None] | None = None,
        **defaults: int,
    ) -> Seen:
        """Have one cell's call made, and look at it from all sides.

        gives_up_s: after how many seconds, where the cell is about giving up.
        meanwhile: done after the order has been given.
        defaults: the stub's, by name without `x-stub-`.
        """
        self._tell_stub({"output_tokens": ANSWER_TOKENS, **defaults})
        requests, billed = len(self._paid_requests()), len(self.stub.bill.calls)
        self._say(cell, cap, gives_up_s)
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

        for gives_up_s in GIVES_UP_S:
            seen = self.order(
                "aborted", gives_up_s=gives_up_s, meanwhile=say_go, delay_ms=FOREVER_MS
            )
            if seen.requests:
                break
        if seen.error is None and seen.calls:
            return Cell(MISSING)  # Its API has no timeout.
        return self._covered(seen)

    def start_slowly(self, tokens: int) -> int:
        """Start a call whose answer would take forever; its length tells it apart in the bill."""
        streams = "stream" in self.row.mode
        slowly = {"chunk_delay_ms": FOREVER_MS} if streams else {"delay_ms": FOREVER_MS}
        self._tell_stub({"output_tokens": tokens, **slowly})
        before = len(self._paid_requests())
        self._say("stopped", LONG_TOKENS, GIVES_UP_S[0])
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

    def _say(self, cell: str, cap: int | None, gives_up_s: float) -> None:
        self.program.say(
            {"row": self.row.name, "mode": self.row.mode, "cell": cell,
             "customer": self.customer(cell), "cap": None if self.uncapped else cap,
             "gives_up_s": gives_up_s}
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
