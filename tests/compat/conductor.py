"""Runs one SDK's program under `noburn run` and has every cell of its rows judged.

A program is ordered about line by line, so that the stub can be told beforehand how to answer and
the ledger and the bill can be read afterwards.  The customer of a call names its cell.
"""

from __future__ import annotations

from noburn_cli.demo.stub import BillingStub
from tests.compat.results import Report, Row, Sdk
from tests.compat.turn import Turn
from tests.compat.world import GuestEndedError, Program, World


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
                turn = self._turn(row, program, stub)
                row.cells["allowed"] = turn.allowed()
                row.cells["blocked"] = turn.blocked()
                row.cells["clamped"] = turn.clamped()
                row.cells["waited"] = turn.waited()
                row.cells["aborted"] = turn.aborted()
        self._stop(program, stub, hello["run"])

    def _turn(self, row: Row, program: Program, stub: BillingStub) -> Turn:
        prefix = f"s{self.number}-{self.report.rows.index(row)}"
        uncapped = row.name in self.sdk.no_cap
        return Turn(self.world, row, program, stub, prefix=prefix, uncapped=uncapped)

    def _stop(self, program: Program, stub: BillingStub, run: str) -> None:
        turns = [self._turn(row, program, stub) for row in self.report.rows]
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
