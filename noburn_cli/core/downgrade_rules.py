"""Rules of budgets that downgrade, beside the prices: models that there are, and cheaper ones.

Layer: core (pure, given the moment).  Below: core.pricebook, core.models.
Above: `noburn budget set` and `apply`, before anything is put in force.
Not here: what the rules may look like (core.budget_spec), which one a call follows (core.actions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from noburn_cli.core.actions import ANY_MODEL
from noburn_cli.core.models import STANDARD, Model
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import ModelUnknown, UsageError


def check_rules(
    name: str, rules: Sequence[tuple[str, str]], book: PriceBook, *, at_ms: int
) -> Iterator[str]:
    """A sentence for each rule that does not do what it looks like.

    name: the budget's.  rules: (model or `*`, cheaper model).
    Raises UsageError for a cheaper model that has no price: every call beyond would be blocked.
    """
    cheaper = {target: _target(name, target, book) for _, target in rules}
    for dear, target in rules:
        if dear == ANY_MODEL:
            continue
        try:
            model = book.resolve(dear)
        except ModelUnknown:
            yield f"{name}: the price book has no model `{dear}`, so that its rule may never apply"
            continue
        other = cheaper[target]
        if other.provider != model.provider:
            yield (
                f"{name}: calls for `{dear}` beyond it are blocked: `{target}` is sold by "
                f"{other.provider}, and they are for {model.provider}"
            )
        elif not _is_cheaper(_rates(other, at_ms), _rates(model, at_ms)):
            yield f"{name}: `{target}` is not cheaper than `{dear}`, whose calls pass the budget"


def _target(name: str, target: str, book: PriceBook) -> Model:
    try:
        return book.resolve(target)
    except ModelUnknown as error:
        raise UsageError(
            f"{name} would downgrade to `{target}`, and the price book has no such model",
            why="every call beyond the budget would be blocked for it",
            next_step=error.next_step,
        ) from error


def _rates(model: Model, at_ms: int) -> Mapping[str, int]:
    """Pico-dollars per token of a short call, by kind of usage; empty where none is known."""
    row = model.row_at(STANDARD, at_ms)
    return {} if row is None else row.tiers[0].rates


def _is_cheaper(ours: Mapping[str, int], theirs: Mapping[str, int]) -> bool:
    """Whether some kind of token costs less, or nothing can be said."""
    both = ours.keys() & theirs.keys()
    return not both or any(ours[kind] < theirs[kind] for kind in both)
