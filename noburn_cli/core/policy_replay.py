"""What a policy would have done: calls that were made, in their order, against other budgets.

Layer: core (pure).  Below: core.actions, core.replay_accounts, core.replay_findings.
Above: `noburn budget replay`, which reads the journal.
Owns: the decision on one call, with running sums, so that a million of them take seconds.
core.policy_model says the same slowly; a test compares the two.

What cannot be known is taken as it was: a call that is let go costs what it cost, one that is
clamped at most what its lower cap pays for.  Nobody waits: a call that only money in flight keeps
out counts as blocked, and is told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from noburn_cli.core.actions import BILL, DOWNGRADE, HARD, KILL, goes_beyond, overage, rule_for
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import Key
from noburn_cli.core.replay_accounts import Account, Accounts, Weights
from noburn_cli.core.replay_findings import Findings

_PICO_PER_NANO = 1000
_DOLLARS = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call that was let go, as the journal has it.

    hold: what it held.  granted, choices, output_pico: tokens per choice, and the rate that the
    hold paid for them.  floor: the least that a lower cap may be; `granted` where none may.
    context: stands for the attributes, equal for equal ones.
    """

    call: str
    context: int
    attributes: Mapping[str, str]
    at_ms: int
    #: By which the model may be called, as it was asked for first.
    models: tuple[str, ...]
    hold: Weights
    granted: int = 0
    floor: int = 0
    choices: int = 0
    output_pico: int = 0
    notional: bool = False

    def weights(self, output: int) -> Weights:
        """What it would hold with another cap."""
        fewer = (self.granted - output) * self.choices
        nano, tokens, requests = self.hold
        return nano - fewer * self.output_pico // _PICO_PER_NANO, tokens - fewer, requests

    def affordable(self, amount: int, index: int) -> int:
        """The most output per choice that an amount pays for, at most what was granted."""
        lacking = self.hold[index] - amount
        if index == _DOLLARS:
            return self.granted + -lacking * _PICO_PER_NANO // (self.choices * self.output_pico)
        return self.granted + -lacking // self.choices


@dataclass(slots=True)
class _Open:
    """A call that has not ended yet.  blocked_by: the account that kept it out, or None."""

    recorded: Recorded
    accounts: Sequence[Account]
    hold: Weights
    cost: Weights = (0, 0, 0)
    is_held: bool = True
    blocked_by: Account | None = None
    downgraded_by: Account | None = None


class Replay:
    """One policy, and what it finds as calls come by."""

    def __init__(self, budgets: Iterable[BudgetSpec], *, since_ms: int) -> None:
        self.findings = Findings()
        self._accounts = Accounts(budgets, since_ms=since_ms)
        self._open: dict[str, _Open] = {}
        self._killed: dict[str, Account] = {}

    def reserve(self, recorded: Recorded) -> None:
        """Decide on a call as it comes."""
        charged, checked = self._accounts.look_up(
            recorded.context, recorded.attributes, recorded.at_ms
        )
        if recorded.notional:
            charged = [account for account in charged if account.index != _DOLLARS]
            checked = [account for account in checked if account.index != _DOLLARS]
        killer = self._killer(recorded) if self._killed else None
        blocker, output = (killer, 0) if killer is not None else _admit(recorded, checked)
        self.findings.calls += 1
        if blocker is not None:
            in_flight = killer is None and _fits_without_holds(blocker, recorded)
            self.findings.block(blocker, recorded, in_flight=in_flight)
            self._open[recorded.call] = _Open(recorded, (), recorded.hold, blocked_by=blocker)
            if blocker.spec.action == KILL and "run" in recorded.attributes:
                self._killed.setdefault(recorded.attributes["run"], blocker)
            return
        hold = recorded.hold
        if output < recorded.granted:
            hold = recorded.weights(output)
            self.findings.clamp(recorded)
        softened = self._soften(recorded, checked)
        for account in charged:
            account.held += hold[account.index]
            account.in_flight += 1
        self._open[recorded.call] = _Open(recorded, charged, hold, downgraded_by=softened)

    def _killer(self, recorded: Recorded) -> Account | None:
        """The budget that has ended a run which the call is in."""
        path = recorded.attributes.get("run", "").split("/")
        return next(
            (
                self._killed[run]
                for end in range(1, len(path) + 1)
                if (run := "/".join(path[:end])) in self._killed
            ),
            None,
        )

    def _soften(self, recorded: Recorded, checked: Sequence[Account]) -> Account | None:
        """Count what budgets that do not block say; the one that downgrades, if one does."""
        downgrading = None
        least: Weights | None = None
        for account in checked:
            spec = account.spec
            if spec.action in HARD or spec.action == BILL:
                continue
            if spec.action == DOWNGRADE and not rule_for(recorded.models, dict(spec.downgrade)):
                continue  # It is at the end of the rules already.
            if least is None:
                least = recorded.weights(recorded.floor)
            if goes_beyond(
                least[account.index], capacity=account.capacity, settled=account.settled,
                in_flight=account.in_flight,
            ):  # fmt: skip
                self.findings.pass_by(account, recorded)
                if spec.action == DOWNGRADE:
                    downgrading = downgrading or account
        return downgrading

    def settle(self, call: str, cost: Weights, at_ms: int) -> None:
        """A call's bill, which is final."""
        self._close(call, cost, at_ms)
        self._open.pop(call, None)

    def charge(self, call: str, at_ms: int) -> None:
        """The bill is not known: the hold is charged in full, until one comes after all."""
        self._close(call, None, at_ms)

    def _close(self, call: str, cost: Weights | None, at_ms: int) -> None:
        known = self._open.get(call)
        if known is None:
            return  # It was reserved before the replay began.
        cost = known.recorded.hold if cost is None else cost
        if known.blocked_by is not None:
            added = cost[_DOLLARS] - known.cost[_DOLLARS]
            self.findings.saved(known.blocked_by, known.recorded, added)
        else:
            if known.hold is not known.recorded.hold:
                cost = min(cost[0], known.hold[0]), min(cost[1], known.hold[1]), cost[2]
            self._charge(known, cost, at_ms)
        known.cost = cost
        known.is_held = False

    def void(self, call: str, at_ms: int) -> None:
        """It never left: it is charged nothing, under no policy."""
        known = self._open.get(call)
        if known is not None:
            if known.blocked_by is None:
                self._charge(known, (0, 0, 0), at_ms)
            else:
                self.findings.unblock(known.blocked_by, known.recorded)
            del self._open[call]

    def _charge(self, known: _Open, cost: Weights, at_ms: int) -> None:
        before = known.cost
        for account in known.accounts:
            index = account.index
            used = account.settled + account.held
            if known.is_held:
                account.held -= known.hold[index]
                account.in_flight -= 1
            was = account.settled
            account.settle(cost[index] - before[index], known.recorded.at_ms, at_ms)
            if account.spec.carry:
                released = used - account.settled - account.held
                account.hand_on(released, at_ms, was_held=known.is_held)
            if account.spec.action == BILL:
                billed = overage(account.settled, account.capacity) - overage(was, account.capacity)
                self.findings.bill(account, known.recorded, billed)
        self.findings.cost_nano += cost[_DOLLARS] - before[_DOLLARS]
        if known.downgraded_by is not None:
            added = cost[_DOLLARS] - before[_DOLLARS]
            self.findings.downgrade(known.downgraded_by, known.recorded, added)

    def top_up(self, identity: tuple[str, str, str], key: Key, amount: int, at_ms: int) -> None:
        """A top-up that was made, where this policy has the account."""
        self._accounts.top_up(identity, key, amount, at_ms)

    def balances(self, now_ms: int) -> dict[tuple[tuple[str, str, str], Key], tuple[int, ...]]:
        """(settled, held, in flight, capacity) of every account of a current window."""
        return {
            (one.spec.identity, one.key): (one.settled, one.held, one.in_flight, one.capacity)
            for one in self._accounts.current(now_ms)
            if not one.is_ceiling
        }

    def finish(self) -> Findings:
        """What was found; calls without an end count at their holds."""
        for call, known in self._open.items():
            if known.blocked_by is not None and known.is_held:
                self._close(call, None, known.recorded.at_ms)
        return self.findings


def _admit(recorded: Recorded, checked: Sequence[Account]) -> tuple[Account | None, int]:
    """(the account that keeps a call out, or None; the output per choice that is granted)."""
    granted = recorded.granted
    hold = recorded.hold
    least: Weights | None = None
    for account in checked:
        if account.spec.action not in HARD:
            continue
        index = account.index
        available = account.capacity - account.settled - account.held
        sharers = 1 if account.is_ceiling else max(2, account.in_flight + 1)
        if hold[index] * sharers <= available:
            continue
        if least is None:
            least = recorded.weights(recorded.floor)
        if available < 0 or least[index] > available:
            return account, 0
        if least[index] != hold[index]:
            affordable = recorded.affordable(available // sharers, index)
            granted = min(granted, max(recorded.floor, affordable))
    return None, granted


def _fits_without_holds(account: Account, recorded: Recorded) -> bool:
    """Whether a call is kept out by money in flight alone: it would have waited."""
    left = account.capacity - account.settled
    return left >= 0 and recorded.weights(recorded.floor)[account.index] <= left
