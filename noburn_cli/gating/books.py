"""The price books of both sides: what holds here, and what the repository itself says of prices.

Layer: I/O.  Below: prices, core.endpoints, gating.trees.  Above: gating.comparing.
Over the book that holds here lie the prices of the project's endpoints, trusted or not (they decide
only what the gate says), and the price file that [gate] names.  Where the user's price file lies in
the repository itself, a commit is priced with the one that it has there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noburn_cli.core.endpoints import Endpoint, price_text
from noburn_cli.core.gate_tables import GateSpec
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import InputRefused, PriceBookInvalid
from noburn_cli.gating.trees import Tree
from noburn_cli.inputs import decoded
from noburn_cli.prices import own_texts, user_file


class Books:
    """Makes the book of a side; two sides with the same price files have one book.

    folder: the configuration's.  Raises PriceBookInvalid, UsageError.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._here = own_texts(environment)
        own = user_file(environment)
        self._own_origin = str(own)
        real, below = own.resolve(), folder.resolve()
        inside = real.is_file() and real.is_relative_to(below)
        self._own_name = real.relative_to(below).as_posix() if inside else None
        self._made: dict[tuple[tuple[str, str], ...], PriceBook] = {}

    def of(
        self, values: Mapping[str, Any], gate: GateSpec, tree: Tree, *, is_commit: bool
    ) -> PriceBook:
        """The book of one side.  values: of its configuration.

        Raises PriceBookInvalid when a price file cannot be read, or breaks a rule.
        """
        texts = list(self._of_commit(tree) if is_commit else self._here)
        for one in values.values():
            text = price_text(one) if isinstance(one, Endpoint) else None
            if text is not None:
                texts.append((f"endpoint `{one.name}`", text))
        if gate.prices is not None:
            texts.append((gate.prices, _read(tree, gate.prices)))
        key = tuple(texts)
        if key not in self._made:
            self._made[key] = PriceBook.from_texts(texts)
        return self._made[key]

    def _of_commit(self, tree: Tree) -> list[tuple[str, str]]:
        """The texts that hold here, with the user's file as the commit has it, if it has it."""
        name = self._own_name
        if name is None:
            return self._here
        there = tree.has(name)
        return [
            (origin, _read(tree, name) if origin == self._own_origin else text)
            for origin, text in self._here
            if origin != self._own_origin or there
        ]


def _read(tree: Tree, name: str) -> str:
    try:
        return decoded(name, tree.read(name))
    except InputRefused as error:
        raise PriceBookInvalid(
            f"price file {name} cannot be read: {error.message}",
            why=error.why or "prices that are not applied would make every amount wrong",
            next_step=error.next_step or "correct `prices` in [gate]",
        ) from error
