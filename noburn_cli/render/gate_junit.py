"""A gate as a JUnit report: a suite for each prompt, a case for each rule that it was held to.

Layer: render (pure).  Below: core.gate_model, render.gate_words.  Above: commands.gate.
Valid for both schemas that readers go by, whose common part it keeps to: Ant's
(https://github.com/windyroad/JUnit-Schema/blob/master/JUnit.xsd) and Jenkins's
(https://github.com/jenkinsci/xunit-plugin, junit-10.xsd), read and tried 2026-11-27.  So a suite
has an id, a package, a host and a time; properties stand first; nothing but a failure or an error
is in a case.
A rule that is broken is a failure, what could not be checked an error; a warning is told in the
suite's output, because JUnit knows none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree

from noburn_cli.core import gate_model as gm
from noburn_cli.core.estimates import Span
from noburn_cli.core.gate_model import Change, Finding, GateResult
from noburn_cli.render.exact import usd
from noburn_cli.render.gate_words import cause_words, is_rule, sentence, verdict
from noburn_cli.render.table import safe_text

PACKAGE = "noburn.gate"
#: The case of a prompt that no rule is about: that it could be costed is worth a line.
COSTED = "costed"


def render_junit(result: GateResult, *, at_ms: int) -> str:
    """The report with its XML declaration.

    at_ms: when the gate was held.
    """
    at = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    root = ElementTree.Element("testsuites")  # Ant's schema knows no attributes of it.
    changes = {change.name: change for change in result.changes}
    for number, subject in enumerate(_subjects(result)):
        root.append(_suite(result, subject, changes.get(subject), number, at))
    ElementTree.indent(root)
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return declared + ElementTree.tostring(root, encoding="unicode") + "\n"


def _subjects(result: GateResult) -> Iterable[str]:
    """All prompts that are there, then what else was checked, then the total: each once."""
    names = [change.name for change in result.changes if change.after is not None]
    names += [one.subject for one in result.held]
    names += [one.subject for one in result.findings]
    return dict.fromkeys([*(one for one in names if one != gm.TOTAL), gm.TOTAL])


def _suite(
    result: GateResult, subject: str, change: Change | None, number: int, at: str
) -> ElementTree.Element:
    found = [one for one in result.findings if one.subject == subject]
    broken: dict[str, list[Finding]] = {}
    for one in found:
        if one.level == gm.ERROR:
            broken.setdefault(one.rule, []).append(one)
    rules = dict.fromkeys(one.rule for one in result.held if one.subject == subject)
    cases = list(dict.fromkeys([*rules, *broken])) or [COSTED]
    failures = sum(map(is_rule, broken))
    suite = ElementTree.Element(
        "testsuite",
        {
            "id": str(number),
            "name": safe_text(subject),
            "package": PACKAGE,
            "hostname": "localhost",
            "timestamp": at,
            "tests": str(len(cases)),
            "failures": str(failures),
            "errors": str(len(broken) - failures),
            "time": "0",
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(result, subject, change):
        attributes = {"name": name, "value": safe_text(value)}
        ElementTree.SubElement(properties, "property", attributes)
    for rule in cases:
        _case(suite, subject, rule, broken.get(rule, ()))
    warnings = [one.text for one in found if one.level == gm.WARNING]
    _output(suite, "system-out", [f"warning: {text}" for text in warnings])
    _output(suite, "system-err", [])
    return suite


def _case(suite: ElementTree.Element, subject: str, rule: str, broken: Iterable[Finding]) -> None:
    attributes = {"classname": safe_text(subject), "name": safe_text(rule), "time": "0"}
    case = ElementTree.SubElement(suite, "testcase", attributes)
    texts = [safe_text(one.text) for one in broken]
    if not texts:
        return
    tag = "failure" if is_rule(rule) else "error"
    told = ElementTree.SubElement(case, tag, {"type": safe_text(rule), "message": texts[0]})
    told.text = "\n".join(texts)


def _output(suite: ElementTree.Element, tag: str, lines: Iterable[str]) -> None:
    ElementTree.SubElement(suite, tag).text = "\n".join(map(safe_text, lines))


def _properties(
    result: GateResult, subject: str, change: Change | None
) -> Iterable[tuple[str, str]]:
    """Exact dollars, as everywhere where machines read."""
    if subject == gm.TOTAL:
        yield "sentence", sentence(result)
        yield "verdict", verdict(result)
        yield from _amount("month_before", None if result.before is None else result.before.month)
        yield from _amount("month_after", result.after.month)
        if result.base is not None:
            yield "base", f"{result.base.rev} {result.base.commit}"
    if change is None or change.after is None:
        return
    yield "model", change.after.model
    if change.before is not None:
        yield from _amount("call_before", change.before.cost_call)
        yield from _amount("month_before", change.before.cost_month)
    yield from _amount("call_after", change.after.cost_call)
    yield from _amount("month_after", change.after.cost_month)
    yield "call_at_most", usd(change.after.worst_call) or ""
    for words in cause_words(change):
        yield "changed", words


def _amount(name: str, cost: Span | None) -> Iterable[tuple[str, str]]:
    if cost is not None:
        yield name, usd(cost.high) or ""
