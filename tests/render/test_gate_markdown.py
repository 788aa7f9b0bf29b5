"""The comment on a pull request, as GitHub's own Markdown library reads it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options

from noburn_cli.core import gate_model as gm
from noburn_cli.core.recorded_comparison import compare
from noburn_cli.core.recorded_findings import findings as recorded_findings
from noburn_cli.core.recorded_runs import (
    ModelUse,
    RateKey,
    RecordedTest,
    Recording,
    Tolerance,
)
from noburn_cli.render.gate_markdown import BYTES_MAX, MARKER, render_markdown
from noburn_cli.render.markdown import code, link, plain, table
from tests.gate_results import added, finding, gate, grown, removed, unchanged

OURS = {"details", "summary", "sub", "br"}
MARKDOWNS = {
    *("h3", "p", "strong", "ul", "li", "code", "a"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


class Page(HTMLParser):
    """Elements in order, cells of tables by row, and the text outside of code."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags, self.rows, self.comments, self.texts, self.codes = [], [], [], [], []
        self._open: list[str] = []
        html = cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE)
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "br":
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, "elements are nested"

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_data(self, data):
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data
        (self.codes if "code" in self._open else self.texts).append(data)


def test_the_comment_says_the_sentence_then_only_what_changed():
    """Goal: a reader who opens nothing sees what changed, by how much, and what it breaks."""
    result = gate(
        *(grown(), unchanged(), removed(), added(calls=2000)),
        findings=[
            finding("`prompts/system.md` costs $2.", rule=gm.PER_CALL_MAX, level=gm.WARNING),
            finding("All prompts cost $1,200.00 a month, $200.00 above the limit."),
        ],
        notes=("The base has no [gate].",),
    )
    markdown = render_markdown(result)
    assert markdown.startswith(MARKER + "\n### +$168 a month (+16 %): `system.md` grew by 900")
    seen, _, folded = markdown.partition("<details>")
    page = Page(seen)
    assert page.rows[0] == [
        "Prompt",
        "What changed",
        "Before, a month",
        "After, a month",
        "Difference",
    ]
    assert page.rows[1:] == [
        ["prompts/system.md", "grew by 900 tokens", "$960.00", "$1,176.00", "+$216.00 (+22 %)"],
        ["prompts/old.md", "removed", "$60.00", "–", "-$60.00"],
        ["prompts/translate.md", "new", "–", "$12.00", "+$12.00"],
        ["All prompts", "", "$1,080.00", "$1,248.00", "+$168.00 (+16 %)"],
    ]
    assert "prompts/faq.md" not in seen
    assert seen.index("❌ All prompts cost") < seen.index("⚠️ `prompts/system.md` costs")
    assert "Failed: 1 rule broken, 1 warning" in seen
    assert {"prompts/faq.md", "2", "0.1", "10", "2026-11-23"} <= {
        cell for row in Page("<details>" + folded).rows for cell in row
    }
    assert "The base has no [gate]." in "".join(Page(markdown).texts)
    assert set(Page(markdown).tags) <= OURS | MARKDOWNS


HOSTILE = (
    *("a|b", "a\\|b", "a\\", "`", "``` x", "x`y`z", "</details>", "<img src=x onerror=alert(1)>"),
    *("<!-- -->", "line\nbreak | x", "cell\r\n| --- |", "@everyone.md", "a@b.example|", "#12 |"),
    *("fixes #12", "www.evil.example/|", "https://evil.example/`", "_a_ *b* ~~c~~ |", "![x](y)|"),
    *("[x](javascript:alert(1))`", "&lt;b&gt;|", ":smile:|", "$x$ |", "\x1b[31mred", "\u202egpj"),
    *("x" * 400, "- [ ] task|", "1. one|", "", "日本`語"),
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_a_name(name):
    """Goal: no file name can leave its cell, open an element, or call for somebody."""
    rows = [[code(name), plain(name), "end"], ["next", "row", "end"]]
    page = Page("\n".join(table(["code", "text", "end"], "llr", rows)))
    shown = name if name.isprintable() else None
    assert [len(row) for row in page.rows] == [3, 3, 3]
    assert (page.rows[1][2], page.rows[2]) == ("end", ["next", "row", "end"])
    assert set(page.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    if shown is not None and len(name) < 100:
        assert page.rows[1][0].strip() == shown.strip()
    text = "\n".join(page.texts)
    assert not re.search(r"[@#]\w|:\w+:|www\.|https?://|\$\w+\$", text)


def test_a_hostile_prompt_breaks_no_comment():
    changes = [grown(name, calls=1) for name in HOSTILE] + [unchanged("ok.md")]
    told = [finding(f"`{name}` and {name} cost $2.", path=name) for name in HOSTILE]
    page = Page(render_markdown(gate(*changes, findings=told)))
    assert set(page.tags) <= OURS | MARKDOWNS
    assert page.tags.count("details") == 3
    assert page.comments[0].strip() == "noburn gate"
    assert not any(comment.strip() for comment in page.comments[1:])


def test_a_link_is_one_only_where_it_is_harmless():
    assert link("source", "https://a.example/b?c=d#e") == "[source](https://a.example/b?c=d#e)"
    for address in ("javascript:alert(1)", "https://a.example/) <b>", "file:contract.pdf"):
        assert "](" not in link("source", address)


def test_a_comment_that_is_too_long_is_cut_and_says_so():
    """Goal: GitHub takes it, the sentence, the verdict and the dearest prompts are in it."""
    changes = [grown(f"p/{number:04d}{'é' * 150}.md", by=number + 1) for number in range(1_000)]
    told = [finding(f"`{change.name}` is dear.", path=change.name) for change in changes]
    markdown = render_markdown(gate(*changes, findings=told))
    assert len(markdown) <= len(markdown.encode()) <= BYTES_MAX
    assert "more, left out" in markdown
    page = Page(markdown)
    assert page.rows[1][0].startswith("p/0999")
    assert page.tags.count("details") == 3
    assert markdown.endswith("up to date.</sub>\n")


def test_nothing_to_compare_with_leaves_the_table_out():
    markdown = render_markdown(gate(unchanged(), base=None))
    assert "What changed" not in markdown
    assert "### $60.00 a month for 1 prompt; compared with nothing" in markdown
    same = render_markdown(gate(unchanged()))
    assert "What changed" not in same
    assert "✅ **Passed**" in same


def line(name, calls, nano):
    """One test's calls, all on one model."""
    at = RateKey("gpt-6.1-terra", "standard", 0)
    usage = {"input": 1_000 * calls, "output": 50 * calls}
    return RecordedTest(name, uses=(ModelUse(at, calls, usage, nano),))


def recording(*tests):
    return Recording("agents", tests={one.name: one for one in tests})


def test_what_holds_nothing_is_not_folded():
    """Goal: no table without a row, where no prompt could be costed or the last one is gone."""
    for result, folded in ((gate(findings=[finding()]), 1), (gate(removed()), 2)):  # Its rates.
        page = Page(render_markdown(result))
        assert page.tags.count("details") == folded
        assert "as they are now" not in "".join(page.texts)
    assert "1 prompt as it is now" in "".join(Page(render_markdown(gate(grown()))).texts)


def test_a_test_that_became_dearer_is_in_the_sentence_and_in_the_table():
    plan = "tests/test_agent.py::test_plan[a|b]"
    before = recording(line(plan, 12, 15_000_000), line("tests/test_agent.py::test_ok", 1, 1))
    after = recording(line(plan, 40, 50_000_000), line("tests/test_agent.py::test_ok", 1, 1))
    evidence = compare(before, after, Tolerance(), label="noburn-baseline.json")
    told = recorded_findings(evidence)
    result = replace(gate(grown(), findings=told), evidence=evidence)
    markdown = render_markdown(result)
    title = markdown.splitlines()[1]
    assert title.endswith("<code>test_plan&#91;a&#124;b&#93;</code> became dearer: calls 12 → 40")
    page = Page(markdown)
    assert [plan, "dearer", "12 → 40", "12,600 → 42,000", "$0.0150 → $0.05"] in page.rows
    assert "1 line as before" in "".join(page.texts)
    assert "Failed: 1 rule broken" in markdown
    (first, *_) = [text for text in page.texts if "takes more than its baseline" in text]
    assert first
