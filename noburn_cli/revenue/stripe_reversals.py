"""What is taken back from billed lines: refunds, credit notes, disputes, write-offs; and fees.

Layer: revenue, pure.  Below: core.revenue, revenue.stripe_lines.  Above: revenue.stripe_deriving.
Owns: Taking, which shares an amount among the lines it is from: each line is taken back to exactly
nothing when everything is given back, in cents and in tax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from noburn_cli.core.revenue import FEE, TAX, RevenueFact, shared
from noburn_cli.revenue.stripe_lines import BilledLine, Money, in_dollars


class Taking:
    """The lines of one root, and how much of each was taken back so far (minor units)."""

    def __init__(self, lines: Sequence[BilledLine]) -> None:
        self.lines = lines
        self._taken = [0] * len(lines)
        self._tax_taken = [0] * len(lines)

    def left(self) -> list[int]:
        """What is left of each line; nothing of one that was negative."""
        return [max(0, one.gross - t) for one, t in zip(self.lines, self._taken, strict=True)]

    def _weights(self) -> list[int]:
        left = self.left()
        return left if any(left) else [max(0, one.gross) for one in self.lines]

    def spread(
        self, amount: int, name: str, kind: str, money: Money, *, at_ms: int, state: str
    ) -> list[RevenueFact]:
        """Take `amount` minor units (> 0) back, shared by what is left of each line."""
        parts = self.parts(amount)
        return self.take(parts, name, kind, money, at_ms=at_ms, state=state)

    def parts(self, amount: int) -> dict[int, int]:
        """An amount shared by what is left of each line, by the line's number."""
        return dict(enumerate(shared(amount, self._weights())))

    def take(
        self, parts: Mapping[int, int], name: str, kind: str, money: Money, *, at_ms: int,
        state: str, sign: int = -1, taxes: Mapping[int, int] | None = None,
        reverses: str = "",
    ) -> list[RevenueFact]:  # fmt: skip
        """Facts that take parts of lines back (sign -1), or give them again (+1).

        parts: minor units by the line's number.  taxes: how much of each is tax, where that is
        known; else in proportion.  reverses: the name of what is reversed, else the line is.
        """
        facts: list[RevenueFact] = []
        backs: list[RevenueFact] = []
        for number, part in parts.items():
            if not part:
                continue
            line = self.lines[number].fact
            tax = self._tax_of(number, -sign * part, None if taxes is None else taxes[number])
            before = f"{line.source}:{reverses}:{_short(line)}" if reverses else line.id
            fact = replace(
                line, id=f"{line.source}:{name}:{_short(line)}", kind=kind, state=state,
                amount_minor=sign * part, at_ms=at_ms, reverses=before,
            )  # fmt: skip
            facts.append(fact)
            if tax:
                backs.append(
                    replace(fact, id=f"{fact.id}:tax", kind=TAX, amount_minor=tax, reverses=fact.id)
                )
        return [*in_dollars(facts, money), *in_dollars(backs, money)]

    def _tax_of(self, number: int, taken: int, known: int | None) -> int:
        """The tax that comes back with a part, so that all of a line brings all of its tax."""
        self._taken[number] += taken
        line = self.lines[number]
        if known is None:
            share = Fraction(self._taken[number], line.gross) if line.gross else Fraction(0)
            known = round(line.tax * min(share, Fraction(1))) - self._tax_taken[number]
        self._tax_taken[number] += known
        return known

    def fee(
        self, amount: int, currency: str, name: str, money: Money, at_ms: int, state: str
    ) -> list[RevenueFact]:
        """A fee (> 0; < 0 when it is given back), shared by what each line was billed."""
        weights = [max(0, one.gross) for one in self.lines]
        facts = [
            replace(
                line.fact, id=f"{line.fact.source}:{name}:fee:{_short(line.fact)}", kind=FEE,
                amount_minor=-part, currency=currency, at_ms=at_ms, state=state,
                reverses=line.fact.id, amount_nano=0,
            )
            for line, part in zip(self.lines, shared(amount, weights), strict=True)
            if part
        ]  # fmt: skip
        return in_dollars(facts, money)


def _short(line: RevenueFact) -> str:
    return line.id.partition(":")[2]
