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
from noburn_cli.price_sources.making import SourceGap, new_models
from noburn_cli.price_sources.merging import Findings, Inputs
from noburn_cli.price_sources.one_source import repriced, unlisted_models

INSTALL = "pip install -U 'noburn-cli[prices]'"


@dataclass(frozen=True)
class NewerBook:
    """A book that was made here.

    versions: of the packages that it was made of.  findings: what a person should look at.
    inputs: what it was made of.
    """

    models: tuple[Model, ...]
    versions: dict[str, str]
    findings: Findings
    inputs: Inputs


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
    models = _made(inputs, findings)
    if inputs.second is None:
        models = [repriced(model, inputs, findings) for model in models]
    models += unlisted_models(models, inputs, findings)
    return NewerBook(tuple(models), {"genai_prices": version}, findings, inputs)


def _made(inputs: Inputs, findings: Findings) -> list[Model]:
    """The listed models; one of which a source lacks something stays as the book has it."""
    for group in inputs.manual["group"]:
        group["names"] = [name for name in group["names"] if _is_known(name, group, inputs)]
    while True:
        try:
            return new_models(inputs, findings)
        except SourceGap as gap:
            findings.left_out.append(str(gap))
            for group in inputs.manual["group"]:
                group["names"] = [name for name in group["names"] if name != gap.model]


def _is_known(name: str, group: dict[str, Any], inputs: Inputs) -> bool:
    """Whether the sources at hand say enough of a listed model."""
    first = inputs.manual["model"].get(name, {}).get("first", name)
    listed = (group["provider"], first) in inputs.first
    return listed and (inputs.second is not None or name in inputs.committed)
