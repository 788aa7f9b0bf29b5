"""A gate as a JUnit report, held to what both schemas of it have in common."""

from __future__ import annotations

from xml.etree import ElementTree

from junitparser import JUnitXml

from noburn_cli.core import gate_model as gm
from noburn_cli.render.gate_junit import render_junit
from tests.gate_results import finding, gate, grown, removed, unchanged

#: Element -> attributes that must be there, and elements below it in their order with how often.
SHAPE = {
    "testsuites": (set(), ("testsuite",)),
    "testsuite": (
        {"id", "name", "package", "hostname", "timestamp", "tests", "failures", "errors", "time"},
        ("properties", "testcase", "system-out", "system-err"),
    ),
    "properties": (set(), ("property",)),
    "property": ({"name", "value"}, ()),
    "testcase": ({"name", "classname", "time"}, ("error", "failure")),
    "failure": ({"type", "message"}, ()),
    "error": ({"type", "message"}, ()),
    "system-out": (set(), ()),
    "system-err": (set(), ()),
}


def check(element):
    """Attributes as they must be; children known, and in order."""
    attributes, children = SHAPE[element.tag]
    assert set(element.attrib) == attributes
    places = [children.index(child.tag) for child in element]
    assert places == sorted(places)
    for child in element:
        check(child)


def held(rule, subject, limit="$1"):
    return gm.Held(rule, subject, limit, gm.ERROR)


def report(result):
    text = render_junit(result, at_ms=1_795_000_000_123)
    root = ElementTree.fromstring(text)
    check(root)
    return text, root


def test_each_prompt_and_rule_is_a_case():
    """Goal: what a CI shows is which rule is broken for which prompt, and that the others hold."""
    name = "prompts/system.md"
    told = [
        finding("$2 is above $1.", rule=gm.PER_CALL_MAX, path=name),
        finding("Too many.", rule=gm.WINDOW_SHARE_MAX, path=name, level=gm.WARNING),
        finding("No file matches `x/*.md`.", rule=gm.FOUND, path="x/*.md"),
    ]
    rules = (
        *(held(gm.PER_CALL_MAX, name), held(gm.WINDOW_SHARE_MAX, name, "50 %")),
        held(gm.PER_MONTH_MAX, gm.TOTAL),
    )
    result = gate(grown(), unchanged(), removed(), findings=told)
    text, root = report(gm.GateResult(**{**vars(result), "held": rules}))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == [name, "prompts/faq.md", "x/*.md", "total"]
    cases = [[case.get("name") for case in suite.iter("testcase")] for suite in root]
    assert cases == [
        [gm.PER_CALL_MAX, gm.WINDOW_SHARE_MAX],
        ["costed"],
        ["found"],
        ["per_month_max"],
    ]
    assert suites[name].find("testcase/failure").get("message") == "$2 is above $1."
    assert suites["x/*.md"].find("testcase/error").get("type") == "found"
    assert suites[name].findtext("system-out") == "warning: Too many."
    properties = {one.get("name"): one.get("value") for one in suites[name].iter("property")}
    assert properties["month_before"] == "960"
    assert properties["month_after"] == "1176"
    assert properties["changed"] == "grew by 900 tokens"
    assert suites[name].get("timestamp") == "2026-11-18T11:06:40"
    read = JUnitXml.fromstring(text.encode())
    read.update_statistics()
    assert (read.tests, read.failures, read.errors) == (5, 1, 1)


def test_a_hostile_name_is_text():
    name = 'a"b<c>&\x00\x1b]]>\n\ud800\u202e.md'
    _, root = report(gate(grown(name), findings=[finding(f"{name} is dear.", path=name)]))
    shown = root[0].get("name")
    assert shown.startswith('a"b<c>&\\x00\\x1b]]>\\n')
    assert root[0].find("testcase/failure").text.startswith('a"b<c>&')


def test_nothing_to_cost_is_a_report_as_well():
    _, root = report(gate())
    assert [suite.get("name") for suite in root] == ["total"]
