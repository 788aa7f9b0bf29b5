"""A gate as a comment on a pull request: the sentence, the verdict, what changed; the rest folded.

Layer: render (pure).  Below: core.gate_model, render.gate_words, render.gate_facts,
render.markdown.  Above: commands.gate, render.gate_github (the step summary).
Owns: MARKER, by which the comment is found again, and the order of its parts.
Not here: escaping (render.markdown); posting (scripts/gate_action.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from noburn_cli.core import gate_model as gm
from noburn_cli.core.gate_model import Change, Finding, GateResult, PromptCost
from noburn_cli.core.money import show_count
from noburn_cli.core.plurals import counted
from noburn_cli.core.recorded_comparison import LineChange, RecordingResult
from noburn_cli.render.gate_evidence import TEST_HEAD, changed_tests, evidence_lines, test_row
from noburn_cli.render.gate_facts import (
    PROMPT_HEAD,
    RATE_HEAD,
    RULE_HEAD,
    RateRow,
    RuleRow,
    assumptions,
    prompt_row,
    rate_rows,
    rule_rows,
)
from noburn_cli.render.gate_words import (
    cause_words,
    growth_of,
    sentence,
    show_cost,
    show_side,
    signed_dollars,
    signed_percent,
    verdict,
)
from noburn_cli.render.markdown import code, details, link, plain, table

T = TypeVar("T")

#: The first line of the comment; scripts/gate_action.py looks for it.
MARKER = "<!-- noburn gate -->"

#: GitHub takes 65,536 characters; bytes are never fewer.
#: https://github.com/orgs/community/discussions/27190, read 2026-11-27
BYTES_MAX = 65_000
#: How many rows a table and a list may have, tried one after another until it fits.
_ROWS_MAX = (10_000, 300, 100, 40, 15, 5)

_MARKS = {gm.ERROR: "❌", gm.WARNING: "⚠️"}


def render_markdown(result: GateResult, *, bytes_max: int = BYTES_MAX) -> str:
    """The comment, with its last line ended; lists are cut, and say so, until it fits."""
    page = ""
    for rows_max in _ROWS_MAX:
        page = "\n".join(_page(result, rows_max)) + "\n"
        if len(page.encode()) <= bytes_max:
            break
    return page


def _page(result: GateResult, rows_max: int) -> list[str]:
    mark = "✅" if result.passed else _MARKS[gm.ERROR]
    lines = [MARKER, f"### {sentence(result, code)}", "", f"{mark} **{verdict(result)}**", ""]
    lines += _findings(result.findings, rows_max)
    lines += _changes(result, rows_max)
    lines += _folded(result, rows_max)
    lines += [f"<sub>{_footer(result)}</sub>"]
    return lines


def _cut(items: Sequence[T], rows_max: int, noun: str, shown: Callable[[T], str]) -> list[str]:
    """A list's first lines, and how many are left out."""
    lines = [shown(item) for item in items[:rows_max]]
    left_out = len(items) - rows_max
    if left_out > 0:
        lines.append(f"- … and {counted(left_out, noun)} more, left out: the comment is too long")
    return lines


def _cut_table(
    head: tuple[Sequence[str], str],
    items: Sequence[T],
    rows_max: int,
    shown: Callable[[T], Sequence[str]],
    last: Sequence[str] = (),
) -> list[str]:
    """A table's first rows, `last` below them, and how many are left out."""
    rows = [shown(item) for item in items[:rows_max]]
    lines = table(*head, [*rows, last] if last else rows)
    left_out = len(items) - rows_max
    if left_out > 0:
        lines += ["", f"… and {counted(left_out, 'row')} more, left out: the comment is too long."]
    return lines


# --- what everybody reads ------------------------------------------------------------------------


def _findings(findings: Sequence[Finding], rows_max: int) -> list[str]:
    if not findings:
        return []
    ranked = sorted(findings, key=lambda one: gm.LEVELS.index(one.level))

    def shown(one: Finding) -> str:
        return f"- {_MARKS[one.level]} {_sentence_of(one)}"

    return [*_cut(ranked, rows_max, "finding", shown), ""]


def _sentence_of(one: Finding) -> str:
    """Its text, with the prompt that it begins with as code, and a capital letter otherwise."""
    if one.subject and one.text.startswith(one.subject):
        return f"{code(one.subject)}{plain(one.text[len(one.subject) :], inside=True)}"
    return plain(one.text[:1].upper() + one.text[1:])


def _changes(result: GateResult, rows_max: int) -> list[str]:
    """Only what changed, dearest first, and the sum over all prompts."""
    changed = [change for change in result.changes if change.changed]
    if result.base is None or not changed:
        return []
    changed.sort(key=lambda change: (not change.monthly, -abs(change.difference)))
    months = any(change.monthly for change in changed)
    unit = "a month" if months else "a call"
    headers = ["Prompt", "What changed", f"Before, {unit}", f"After, {unit}", "Difference"]

    def shown(change: Change) -> list[str]:
        return _change_row(change, unit="" if change.monthly == months else " a call")

    return [*_cut_table((headers, "llrrr"), changed, rows_max, shown, _total_row(result)), ""]


def _change_row(change: Change, *, unit: str) -> list[str]:
    """unit: what the amounts are of, where it is not what the header says."""
    name = code(change.name)
    if change.renamed_from:
        name += f"<br>was {code(change.renamed_from)}"
    what = "<br>".join(plain(words) for words in cause_words(change)) or "a new name"
    share = growth_of(change)
    percent = "" if share is None or not share else f" ({signed_percent(share)})"
    before, after = (
        "–" if one is None else show_side(one, monthly=change.monthly) + unit
        for one in (change.before, change.after)
    )
    return [name, what, before, after, f"{signed_dollars(change.difference)}{unit}{percent}"]


def _total_row(result: GateResult) -> list[str]:
    """The sum over all prompts with known calls, changed or not; nothing where it is of one."""
    if result.before is None or result.before.month is None or result.after.month is None:
        return []
    here = [change for change in result.changes if change.monthly]
    if len(here) < 2:
        return []
    percent = "" if not result.growth else f" ({signed_percent(result.growth)})"
    what = f"the {show_count(len(here))} with known calls" if result.after.left_out else ""
    months = (show_cost(side.month) for side in (result.before, result.after) if side.month)
    difference = f"**{signed_dollars(result.difference or 0)}{percent}**"
    return ["**All prompts**", what, *months, difference]


# --- what is folded ------------------------------------------------------------------------------


def _folded(result: GateResult, rows_max: int) -> list[str]:
    """What opens on a click; a table that has no row is not there."""
    prompts = [change.after for change in result.changes if change.after is not None]
    parts = []
    if prompts:
        now = "as it is now" if len(prompts) == 1 else "as they are now"
        as_they_are = _cut_table(PROMPT_HEAD, prompts, rows_max, _prompt_row)
        parts.append(details(f"{counted(len(prompts), 'prompt')} {now}", as_they_are))
    rates = rate_rows(result)
    if rates:
        parts.append(details("Rates", _cut_table(RATE_HEAD, rates, rows_max, _rate_row)))
    if result.held:
        rules = _cut_table(RULE_HEAD, rule_rows(result), rows_max, _rule_row)
        parts.append(details(f"{counted(len(result.held), 'rule')} checked", rules))
    if result.evidence is not None:
        parts.append(details("Recorded tests", _tests(result.evidence, rows_max)))
    sure = _cut(assumptions(result), rows_max, "line", lambda line: f"- {plain(line)}")
    parts.append(details("How sure this is", sure))
    return [line for part in parts for line in (*part, "")]


def _tests(evidence: RecordingResult, rows_max: int) -> list[str]:
    def shown(one: LineChange) -> list[str]:
        name, *rest = test_row(one)
        return [code(name), *map(plain, rest)]

    changed = changed_tests(evidence)
    rows = _cut_table(TEST_HEAD, changed, rows_max, shown) if changed else []
    told = [f"- {plain(line)}" for line in evidence_lines(evidence)]
    return [*rows, "", *told] if rows else told


def _prompt_row(one: PromptCost) -> list[str]:
    name, model, *numbers = prompt_row(one)
    return [code(name), code(model), *map(plain, numbers)]


def _rule_row(row: RuleRow) -> list[str]:
    mark = _MARKS[row.level] if row.broken else "✅"
    subject = "all prompts" if row.subject == gm.TOTAL else code(row.subject)
    return [subject, code(row.rule), plain(row.limit), plain(row.value), mark]


def _rate_row(row: RateRow) -> list[str]:
    return [code(row.model), *map(plain, row.rates), plain(row.when), link("source", row.origin)]


def _footer(result: GateResult) -> str:
    words = "noburn gate"
    if result.base is not None:
        words += f", compared with {code(result.base.rev)}"
        if not result.base.commit.startswith(result.base.rev):
            words += f" at {code(result.base.commit[:12])}"
    return f"{words}. Every push brings this comment up to date."
