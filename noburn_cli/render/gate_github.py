"""A gate in the log of a GitHub job: annotations on the prompts' files.

Layer: render (pure).  Below: core.gate_model, render.gate_words.  Above: commands.gate, which also
writes the step summary (render.gate_markdown) where GitHub says where.
Specification: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
and `escapeData`, `escapeProperty` of @actions/core's command.ts, read 2026-11-27.  GitHub shows ten
errors and ten warnings of a step, and drops what follows in silence.
"""

from __future__ import annotations

from collections.abc import Sequence

from noburn_cli.core import gate_model as gm
from noburn_cli.core.gate_model import Finding, GateResult
from noburn_cli.core.plurals import counted
from noburn_cli.render.gate_words import sentence, verdict
from noburn_cli.render.table import safe_text

SHOWN_MAX = 10
_COMMANDS = {gm.ERROR: "error", gm.WARNING: "warning"}


def render_github(result: GateResult, *, folder: str = "") -> list[str]:
    """Lines for standard output.

    folder: where the configuration is, from the root of the repository; annotations need paths
        from there.
    """
    lines = []
    for level, name in _COMMANDS.items():
        found = [one for one in result.findings if one.level == level]
        lines += _annotations(name, found, folder)
    told = f"{sentence(result)}. {verdict(result)}."
    return [*lines, command("notice", told, title="noburn gate")]


def _annotations(name: str, found: Sequence[Finding], folder: str) -> list[str]:
    shown = found if len(found) <= SHOWN_MAX else found[: SHOWN_MAX - 1]
    lines = [
        command(name, one.text, file=_path(one, folder), title=f"noburn gate: {one.rule}")
        for one in shown
    ]
    more = len(found) - len(shown)
    if more:
        told = f"{counted(more, 'finding')} more: see the summary of this job"
        lines.append(command(name, told, title="noburn gate"))
    return lines


def _path(one: Finding, folder: str) -> str:
    """From the root of the repository; "" for a finding about no file."""
    if not one.path or folder in ("", "."):
        return one.path
    return f"{folder}/{one.path}"


def command(name: str, text: str, *, title: str, file: str = "") -> str:
    """`::error file=…,line=1,title=…::text`, with nothing in it that could end it early."""
    properties = [f"file={_property(file)}", "line=1"] if file else []
    properties.append(f"title={_property(title)}")
    return f"::{name} {','.join(properties)}::{_data(text)}"


def _data(text: str) -> str:
    """As `escapeData` has it; other control characters are spelt out."""
    kept = "\n".join(safe_text(line) for line in text.splitlines())
    return kept.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
