"""What must be so: after every turn of the daemon, after every answer, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from noburn_cli import protocol
from tests.simulation.more_checks import MoreChecks
from tests.simulation.oracle import Oracle, Wrong
from tests.simulation.workload import RATES

if TYPE_CHECKING:
    from tests.simulation.clients import Truth
    from tests.simulation.world import World

Frame = dict[str, Any]
_NEVER = (protocol.CONFLICT, protocol.BAD_FRAME)
_MAY_BE_WRONG = (
    protocol.RUN_LIMIT, "ledger.correct", protocol.LEDGER_COMPACT, protocol.LEDGER_FORGET,
)  # fmt: skip


class Checks:
    """Compares what was answered, what is on disk, what the daemon believes, and what is so."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.oracle = Oracle()
        self._reader: apsw.Connection | None = None
        self._inode = 0
        self._extra = MoreChecks(self, world)
        self._may_have_lost = False
        #: The last row that somebody was told of: what comes after it nobody relies on.
        self._told_seq = 0
        #: The last row that was committed to outlast the power, where that is not said of all.
        self._synced_seq = 0
        self._was_synced = False
        #: Who waited when the daemon was last at rest, in order, and what stood in their way.
        self._rest: list[tuple[Any, set[Any]]] = []
        self.turns = 0

    # The daemon's life.

    def started(self) -> None:
        world = self._world
        assert world.ledger is not None
        self._quietly(self._open)
        if self._may_have_lost:
            self._may_have_lost = False
            self._begin_anew()
        self.follow()
        self._check_promises()
        self._check_balances()

    def _open(self) -> None:
        assert self._world.ledger is not None
        self._inode = self._world.ledger.path.stat().st_ino
        self._reader = apsw.Connection(
            str(self._world.ledger.path), flags=apsw.SQLITE_OPEN_READWRITE
        )
        # It is a reader: it never writes the file, and leaves the log to the daemon.
        self._reader.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def stopped(self) -> None:
        reader, self._reader = self._reader, None
        self._rest = []
        self._was_synced = False
        if reader is not None:
            reader.close()

    def power_failed(self) -> None:
        """Rows may be gone: any, where only a killed process was promised to lose nothing."""
        self._may_have_lost = True

    def _begin_anew(self) -> None:
        """Follow the journal as it is now.

        A commit that a killed daemon had not synced is found again by the next one, and may still
        be lost with the power, as long as nobody was told of it.
        """
        before, self.oracle = self.oracle, Oracle()
        if self._world.whole is not None:  # what was compacted is told by nobody else
            assert self._reader is not None
            self.oracle = before.as_of(self._quietly(lambda: before.survivors(self._reader)))
        self.follow()
        kept = self.oracle.common_seq(before)
        if not self._world.promises_power:
            for truth in self._world.truths.values():
                truth.excused = True
            if kept < self._synced_seq:
                raise Wrong(f"row {self._synced_seq} was synced, and {kept} rows survived")
        elif kept < self._told_seq:
            raise Wrong(f"row {self._told_seq} was told of, and {kept} rows survived the power")
        self._told_seq = min(kept, self._told_seq)
        self._synced_seq = min(kept, self._synced_seq)

    def _quietly(self, action: Any) -> Any:
        """Our own reading meets no fault."""
        faults = self._world.faults
        before, faults.is_quiet = faults.is_quiet, True
        try:
            return action()
        finally:
            faults.is_quiet = before

    # After a turn.

    def after_turn(self) -> None:
        world = self._world
        self.turns += 1
        if world.disk.is_dead or self._reader is None or world.daemon is None:
            return
        rows = self.follow()
        self._note_synced(rows)
        if rows:
            self._check_balances()
            self._check_order(rows)
            if world.whole is not None and not world.daemon.book.events:
                self._quietly(lambda: self._extra.after_commit(rows, self._reader))
        daemon = world.daemon
        book, commits = daemon.book, daemon._commits
        if commits.is_scheduled or commits.sick is not None or book.stirred or book.events:
            return
        self._check_waiters()
        self._check_answered()

    def _note_synced(self, rows: list[Frame]) -> None:
        """What a turn wrote, and all before it, is durable where commits were synced meanwhile."""
        assert self._world.ledger is not None
        is_synced = self._world.ledger.durability == "power"
        if rows and is_synced and self._was_synced:
            self._synced_seq = self.oracle.seq
        self._was_synced = is_synced

    def follow(self) -> list[Frame]:
        """Take what was committed."""
        if self._reader is None:
            return []
        ledger = self._world.ledger
        if ledger is not None and ledger.path.stat().st_ino != self._inode:
            self._reader.close()
            self._quietly(self._open)
        rows = self._quietly(lambda: self.oracle.follow(self._reader))
        for row in rows:
            self._world.trace(
                f"row {row['seq']} {row['kind']} {row['call'] or row['run'] or ''}"
                f" {row['hold_nano'] or row['cost_nano'] or ''} {row['failure'] or ''}"
            )
            self._check_end(row)
        if self._world.whole is not None:
            self._quietly(lambda: self._extra.after_rows(rows, self._reader))
        return list(rows)

    def is_in_outbox(self, key: str) -> bool:
        """Whether a message is on disk."""
        return self._reader is not None and bool(
            self._quietly(lambda: self._extra.has_message(self._reader, key))
        )

    def _check_end(self, row: Frame) -> None:
        """An end is what its program said, and what the provider bills."""
        truth = self._world.truths.get(row["call"] or "")
        if truth is None:
            return
        if row["kind"] == "void" and truth.sent:
            raise Wrong(f"call {truth.call} left, and was released")
        if row["kind"] == "settle":
            assert truth.billed is not None
            if row["cost_nano"] != price(truth):
                raise Wrong(f"call {truth.call} is settled at {row['cost_nano']}")
        if row["kind"] == "orphan":
            owner = self.oracle.calls[truth.call].owner
            if any(p.owner == owner for p in self._world.machine.living.values()):
                raise Wrong(f"call {truth.call} is an orphan, and its process lives")

    def _check_balances(self) -> None:
        """What the daemon believes is what the journal says, whenever all of it is written."""
        daemon = self._world.daemon
        assert daemon is not None
        book = daemon.book
        if book.events or daemon._commits.sick is not None:
            return
        theirs = {
            (a.budget.row.id, a.key, a.start_ms): (a.settled, a.held, a.in_flight)
            for a in book.accounts.all()
        }
        now_ms = daemon.clock.now_ms()
        for place, sums in self.oracle.places(now_ms).items():
            found = theirs.pop(place, None)
            if found == sums:
                continue
            rolls = self.oracle.limits[place[0]].rolls_ms is not None
            late = found is not None and (found[0] >= sums[0] or bool(self.oracle.amounts))
            if rolls and late and found is not None and found[1:] == sums[1:]:
                continue  # It lets go of what has left when it is asked next, credits included.
            if found is None and (not any(sums) or self._is_forgotten(place)):
                continue
            if self._has_ended(place, now_ms) and (found or (0, 0, 0))[1:] == sums[1:]:
                continue  # What it came to decides nothing any more, and is not kept.
            raise Wrong(f"the daemon has {found} in {place}, the journal says {sums}")
        for account in book.accounts.all():
            if account.end_ms is not None and account.end_ms <= now_ms:
                continue  # What was carried into a window that has ended decides nothing any more.
            place = (account.budget.row.id, account.key, account.start_ms)
            if account.carried != self.oracle.carried.get(place, 0):
                raise Wrong(f"the daemon carried {account.carried} into {place}")
        self.oracle.check_overages(now_ms)
        self.oracle.check_thresholds(now_ms)
        for place, found in theirs.items():
            if any(found):
                raise Wrong(f"the daemon has {found} in {place}, the journal nothing")
        if set(book.calls.open) != {
            c.call for c in self.oracle.calls.values() if c.state == "held"
        }:
            raise Wrong("the daemon has other open holds than the journal")

    def _is_forgotten(self, place: Any) -> bool:
        """Whether it is a limit of a run that ended: a week later a restart leaves it out.

        Calls of such a run are refused, and one that is still in flight ends as it would.
        """
        return self.oracle.limits[place[0]].run in self.oracle.ended

    def _has_ended(self, place: Any, now_ms: int) -> bool:
        limit = self.oracle.limits[place[0]]
        ends_ms = limit.end_ms(place[2])
        if ends_ms is None:
            # The limit of a run that ended is kept for a week, also where it starts again.
            return limit.run is not None and limit.run in self.oracle.ended
        return ends_ms <= now_ms

    def _check_waiters(self) -> None:
        """Nobody is forgotten: whoever waits at rest cannot go, or waits behind somebody."""
        assert self._world.daemon is not None
        book = self._world.daemon.book
        blocking: set[Any] = set()
        self._rest = []
        for waiter in book.waiting:
            if waiter.paused_at_ms is not None or waiter.undecided:
                continue
            its = [
                a for a in waiter.context.checked
                if not (waiter.frame.notional and a.unit_index == 0)
            ]  # fmt: skip
            full = [
                a for a in its
                if a.available < 0 or waiter.least[a.unit_index] > a.available
            ]  # fmt: skip
            if not full and not blocking.intersection(its) and waiter.least != (0, 0, 0):
                raise Wrong(
                    f"call {waiter.frame.call} waits, and could go: it needs {waiter.least}, and"
                    f" waits for {[a.name for a in waiter.blocked_on]}"
                )
            blocking.update(full)
            # Of a window that rolls, time itself releases something.
            lasting = {a for a in full if a.ring is None}
            self._rest.append((waiter, lasting & set(waiter.blocked_on)))

    def _check_order(self, rows: list[Frame]) -> None:
        """Where nothing was released, nobody passes an earlier waiter with whom it shares an
        account that stood in that waiter's way when the queue was last looked at.
        """
        assert self._world.daemon is not None
        book = self._world.daemon.book
        waits_still = {waiter for waiter in book.waiting if waiter.paused_at_ms is None}
        for row in rows:
            if row["kind"] not in ("reserve", "name", "blocked", "refused", "tombstone", "book"):
                self._rest = []  # something was released: who waited is looked at anew
                return
            call = book.calls.open.get(row["call"] or "")
            if row["kind"] != "reserve" or call is None or call.context is None:
                continue
            its = set(call.accounts).intersection(call.context.checked)
            for waiter, full in self._rest:
                if waiter.frame.call == call.id:
                    break
                if waiter in waits_still and its & full:
                    raise Wrong(f"call {call.id} passes {waiter.frame.call}, which came before it")

    def _check_answered(self) -> None:
        """Whoever asked was answered, or waits."""
        world = self._world
        assert world.daemon is not None
        assert world.loop is not None
        if world.loop.working or (world.whole is not None and world.whole.is_moving):
            return
        waiting = [caller for waiter in world.daemon.book.waiting for caller, _ in waiter.callers]
        for peer in world.daemon.peers:
            if peer.is_open and peer.unanswered != waiting.count(peer):
                raise Wrong(
                    f"{peer.unanswered} requests of a program are open, and it waits for"
                    f" {waiting.count(peer)}"
                )

    # Answers.

    def heard(self, frame: Frame, reply: Frame) -> None:
        """An answer arrived at its program."""
        world = self._world
        op = frame["op"]
        if reply.get("ok"):
            self._told_seq = max(self._told_seq, self.oracle.row_of(frame))
        if "call" not in frame:
            world.trace(f"{op} hears {_shown(reply)}")
            # A run may have no limit to be raised; and time may have passed a change's moment.
            # So may a call's bill have come before the report that has it.
            may_be = op in _MAY_BE_WRONG or "at_ms" in frame
            if reply.get("error") in _NEVER and not may_be:
                world.violation(f"{op} is answered {reply}")
            return
        world.trace(f"{op} {frame['call']} hears {_shown(reply)}")
        truth = world.truths[frame["call"]]
        if reply.get("error") in _NEVER:
            world.violation(f"{op} of {truth.call} is answered {reply}")
        if op == protocol.RESERVE and reply.get("ok"):
            self._granted(truth, reply)
        truth.heard.append((op, reply))
        if reply.get("error") == protocol.NOT_FOUND and not truth.excused:
            world.violation(f"{op} of {truth.call}: {reply['message']}")

    def _granted(self, truth: Truth, reply: Frame) -> None:
        for op, before in truth.heard:
            ended = op != protocol.RESERVE and before.get("ok") and truth.asked_again
            if ended and not truth.excused:
                self._world.violation(f"call {truth.call} ended, and was granted after that")
            if op == protocol.RESERVE and before.get("ok") and not truth.excused:
                same = {**before, "n": 0} == {**reply, "n": 0}
                if not same:
                    self._world.violation(f"call {truth.call} was granted {before}, now {reply}")

    def late(self, frame: Frame) -> None:
        self._world.violation(f"no answer to {frame['op']} {frame.get('call', '')}")

    def leaves(self, truth: Truth) -> None:
        """No call leaves without a hold that is on disk and pays for it."""
        called = self.oracle.calls.get(truth.call)
        self._world.trace(f"call {truth.call} leaves")
        assert truth.granted is not None
        if truth.excused:
            return
        if called is None:
            self._world.violation(f"call {truth.call} leaves, and no hold is on disk")
            return
        if called.state == "voided":
            self._world.violation(f"call {truth.call} leaves, and was voided")
        if (called.hold[0], called.granted) != (
            truth.granted["hold_nano"],
            truth.granted["granted"],
        ):
            self._world.violation(f"call {truth.call} leaves with another hold than on disk")

    def _check_promises(self) -> None:
        """What was answered before the crash is still so."""
        for truth in self._world.truths.values():
            if truth.excused:
                continue
            called = self.oracle.calls.get(truth.call)
            for op, reply in truth.heard:
                if not reply.get("ok"):
                    continue
                if op == protocol.RESERVE and called is None:
                    raise Wrong(f"call {truth.call} was granted, and the disk has forgotten it")
                if op in (protocol.SETTLE, protocol.LOSE, protocol.VOID):
                    self._check_told(truth, called, reply)

    def _check_told(self, truth: Truth, called: Any, reply: Frame) -> None:
        if called is None:
            if reply["state"] != "voided" or truth.call not in self.oracle.closed:
                raise Wrong(
                    f"call {truth.call} was {reply['state']}, and the disk has forgotten it"
                )
            return
        if called.state == "held" or (
            reply["state"] == "settled" and called.cost[0] != reply["cost_nano"]
        ):
            raise Wrong(f"call {truth.call} was answered {reply}, and the disk says {called.state}")

    # The end.

    def is_quiet(self) -> bool:
        """Whether nothing is under way: programs are done, and nothing is held."""
        daemon = self._world.daemon
        living = {program.process.owner for program in self._world.programs if program.is_alive}
        if self._reader is not None and self._quietly(lambda: self._extra.waits(self._reader)):
            return False  # a message does; only a whole daemon has any
        return daemon is None or not any(
            called.state == "held" and called.owner not in living
            for called in self.oracle.calls.values()
        )

    def what_is_open(self) -> str:
        world = self._world
        held = [c.call for c in self.oracle.calls.values() if c.state == "held"]
        busy = {
            p.process.owner: p.unfinished for p in world.programs if p.is_alive and p.unfinished
        }
        return f"held {held}, busy {busy}, journal {world.take_journal()}, taken {len(world.taken)}"

    def at_the_end(self) -> None:
        """Every call that left is charged, as billed or at its hold, and nothing is open."""
        daemon = self._world.daemon
        if daemon is not None:
            overdue_ms = daemon.clock.now_ms() - 2_000
            late = [i for i, at_ms in self.oracle.scheduled.items() if at_ms < overdue_ms]
            if late and self._world.machine.since_boot_ms() > 5_000:
                raise Wrong(f"scheduled changes {late} are overdue")
        for truth in self._world.truths.values():
            called = self.oracle.calls.get(truth.call)
            if truth.excused:
                continue
            if called is not None and called.state == "held":
                raise Wrong(f"call {truth.call} is held for ever")
            if truth.sent:
                self._check_charged(truth, called)
        if self._world.whole is not None and self._reader is not None:
            self._quietly(lambda: self._extra.at_the_end(self._reader))

    def _check_charged(self, truth: Truth, called: Any) -> None:
        if called is None or called.state == "voided":
            raise Wrong(f"call {truth.call} left, and is charged nowhere")
        if truth.billed is None:
            return
        bill = price(truth)
        within = truth.billed["input"] <= (truth.granted or {})["input_bound"]
        if called.state == "settled" and called.cost[0] != bill:
            raise Wrong(f"call {truth.call} is billed {bill}, and settled at {called.cost[0]}")
        if called.state != "settled" and within and called.cost[0] < bill:
            raise Wrong(f"call {truth.call} is billed {bill}, and charged {called.cost[0]}")


def price(truth: Truth) -> int:
    """What the provider bills, in nano-dollars."""
    assert truth.billed is not None
    went_in, came_out = RATES[truth.frame["model"]]
    return int(truth.billed["input"] * went_in + truth.billed["output"] * came_out)


def _shown(reply: Frame) -> str:
    if reply.get("ok"):
        kept = ("granted", "hold_nano", "state", "cost_nano")
        return "ok " + " ".join(f"{key}={reply[key]}" for key in kept if reply.get(key) is not None)
    return f"{reply.get('error')} {reply.get('why_blocked', '')}"
