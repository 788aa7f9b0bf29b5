"""A newer book for somebody who has one: made of the installed sources, over the book in force.

Layer: I/O (reads the installed packages).  Below: core, resources, price_sources.*, errors.
Above: commands.prices (`update`, `diff`, `check`).
Not here: what of it is taken (core.book_update), books that lie in files (price_sources.fetching).

With litellm's JSON at hand it is made as the book that ships is.  Without it genai-prices alone
gives the rates: of the models that the book compares with it, and of new ones of the providers
that are listed by hand, as far as it says enough of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import tomllib

from noburn_cli import resources
from noburn_cli.core.models import Model
from noburn_cli.errors import NoburnError
from noburn_cli.price_sources.genai import first_models
from noburn_cli.price_sources.litellm_json import installed_file, second_models
from noburn_cli.price_sources.making import new_models
from noburn_cli.price_sources.merging import Findings, Inputs

INSTALL = "pip install -U 'noburn-cli[prices]'"


@dataclass(frozen=True)
class NewerBook:
    """A book that was made here.

    versions: of the packages that it was made of.  findings: what a person should look at.
    """

    models: tuple[Model, ...]
    versions: dict[str, str]
    findings: Findings


def manual() -> dict[str, Any]:
    """The hand-kept part of the book."""
    return tomllib.loads(resources.read_bytes(resources.MANUAL_FILE).decode("utf-8"))


def read_inputs(base: Sequence[Model], *, today: date, litellm: Path | None) -> tuple[Inputs, str]:
    """(what a book is made of, the version of genai-prices).

    base: the book in force.  litellm: a copy of its JSON; the installed one unless given.
    Raises NoburnError when genai-prices is not installed, or the JSON cannot be read.
    """
    by_hand = manual()
    owners = [*by_hand["urls"], *(one for group in by_hand["auto"] for one in group["first"])]
    try:
        version, first = first_models(owners)
    except ImportError as error:
        raise NoburnError(
            "genai-prices is not installed",
            why="it is the maintained source of prices that this reads",
            next_step=INSTALL,
        ) from error
    path = litellm or installed_file()
    more = [name for group in by_hand["auto"] for name in group["second"]]
    try:
        second = None if path is None else second_models(path, more)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise NoburnError(
            f"{path} is not litellm's list of prices: {error}",
            next_step="name its model_prices_and_context_window_backup.json with --litellm",
        ) from error
    committed = {model.name: model for model in base}
    return Inputs(by_hand, first, second, committed, today, recheck=False), version


def from_genai(base: Sequence[Model], *, today: date, litellm: Path | None = None) -> NewerBook:
    """The book that the installed sources make over `base` on a day.  Raises NoburnError."""
    inputs, version = read_inputs(base, today=today, litellm=litellm)
    findings = Findings()
    models = tuple(new_models(inputs, findings))
    versions = {"genai_prices": version}
    return NewerBook(models, versions, findings)
