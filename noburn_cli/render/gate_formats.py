"""The forms in which a gate can answer, by the words of `--format`.

Layer: render.  Below: render.gate_table, gate_data, gate_markdown, gate_junit, gate_github.
Above: commands.gate.
Each form's module is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from noburn_cli.core.gate_model import GateResult


@dataclass(frozen=True)
class Showing:
    """How an answer is shown.

    width: columns of the terminal, None for a pipe.  show_all: unchanged prompts too.
    at_ms: when the gate was held.  folder: the configuration's, from the repository's top on; "".
    """

    width: int | None
    show_all: bool
    at_ms: int
    folder: str


def _table(result: GateResult, showing: Showing) -> str:
    from noburn_cli.render.gate_table import render_gate

    return "\n".join(render_gate(result, width=showing.width, show_all=showing.show_all))


def _json(result: GateResult, showing: Showing) -> str:  # noqa: ARG001
    from noburn_cli.render.gate_data import JSON_VERSION, gate_data
    from noburn_cli.render.jsonout import format_json

    return format_json("gate", JSON_VERSION, gate_data(result))


def _markdown(result: GateResult, showing: Showing) -> str:  # noqa: ARG001
    from noburn_cli.render.gate_markdown import render_markdown

    return render_markdown(result)


def _junit(result: GateResult, showing: Showing) -> str:
    from noburn_cli.render.gate_junit import render_junit

    return render_junit(result, at_ms=showing.at_ms)


def _github(result: GateResult, showing: Showing) -> str:
    from noburn_cli.render.gate_github import render_github

    return "\n".join(render_github(result, folder=showing.folder))


#: In the order of core.gate_tables.TABLE_FORMATS.
FORMATS: Mapping[str, Callable[[GateResult, Showing], str]] = {
    "table": _table,
    "json": _json,
    "markdown": _markdown,
    "junit": _junit,
    "github": _github,
}
