"""From options and a plans file to the plans that `noburn margin` is asked about.

Layer: commands.  Below: core.plans, core.plan_files, plans_file.  Above: commands.margin_asking.
Owns: which option stands in for which part of a plan.
"""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.commands.margin_options import Asked
from noburn_cli.core.money import parse_dollars, parse_share
from noburn_cli.core.plan_amounts import parse_included, parse_overage
from noburn_cli.core.plans import UNLIMITED, Included, Overage, Plan
from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from noburn_cli.core.plan_files import PlansFile


def read_file(asked: Asked) -> PlansFile | None:
    """The plans file that the options ask for; None where a price alone was given.

    Raises UsageError where a plan is asked for and there is no file, or neither is there.
    """
    if asked.price is not None and asked.plans is None and not asked.plan:
        return None
    from noburn_cli.plans_file import load_plans  # 15 ms that a price alone does not need

    found = load_plans(os.environ, Path.cwd(), asked.plans)
    if found is None:
        raise UsageError(
            "there is no plan to look at",
            why="neither --price was given, nor is there a plans.toml here",
            next_step="for example: noburn margin --price 20 --tokens 2M; or write plans.toml "
            "(docs/plans.md)",
        )
    return found


def chosen_plans(asked: Asked, file: PlansFile | None) -> list[tuple[str, Plan]]:
    """(name, plan) of each that was asked for, what options say put into them."""
    changes = _changes(asked)
    if file is None:
        return [("", _with(Plan(0), asked, changes))]
    names = asked.plan or list(file.plans)
    return [(name, _with(file.plan(name), asked, changes)) for name in names]


def parse_percent(text: str, *, what: str) -> Fraction:
    """`2.9` and `2.9%` alike: the option's name already says per cent."""
    return parse_share(f"{text.strip().removesuffix('%').strip()}%", what=what)


def _changes(asked: Asked) -> dict[str, Any]:
    """Fields of a plan that options give, each as it is read.  Raises UsageError."""
    readers: dict[str, tuple[str | None, Any, str]] = {
        "price_nano": (asked.price, parse_dollars, "--price"),
        "fee_share": (asked.fee_percent, parse_percent, "--fee-percent"),
        "fee_fixed_nano": (asked.fee_fixed, parse_dollars, "--fee-fixed"),
        "overhead_nano": (asked.overhead, parse_dollars, "--overhead"),
        "overhead_request_nano": (asked.overhead_request, parse_dollars, "--overhead-request"),
        "yearly_discount": (asked.yearly_discount, parse_share, "--yearly-discount"),
        "yearly_share": (asked.yearly_share, parse_share, "--yearly-share"),
        "tax": (asked.tax, parse_percent, "--tax"),
    }
    found = {
        name: read(text, what=what)
        for name, (text, read, what) in readers.items()
        if text is not None
    }
    if asked.seats is not None:
        found["seats"] = asked.seats
    if asked.tax_included:
        if not asked.tax:
            raise UsageError("--tax-included goes with --tax", next_step="say the tax: --tax 19")
        found["tax_included"] = True
    return found  # Without the word a tax stays where the file has it; of a price it is on top.


def _with(plan: Plan, asked: Asked, changes: dict[str, Any]) -> Plan:
    if asked.yearly_discount is not None and asked.yearly_share is None and not plan.yearly_share:
        raise UsageError(
            "--yearly-discount changes nothing where nobody pays by the year",
            next_step="say how many do: --yearly-share 30%",
        )
    if asked.included is None and asked.overage is None:
        return replace(plan, **changes)
    if plan.credits is not None:
        raise UsageError(
            f"--included and --overage do not go with the credits of `{plan.name}`",
            next_step="change the plan in its file",
        )
    overage = plan.overage
    if asked.overage is not None:
        overage = parse_overage(asked.overage, what="--overage")
    included = _included(asked, plan, overage)
    return replace(plan, **changes, overage=overage, included=included)


def _included(asked: Asked, plan: Plan, overage: Overage | None) -> Included:
    if asked.included is not None:
        return parse_included(asked.included)
    if plan.included == UNLIMITED and overage is not None:
        return overage.nothing
    return plan.included
