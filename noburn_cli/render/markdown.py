"""Text of others in GitHub's Markdown, so that it can neither break the page nor give orders in it.

Layer: render (pure).  Below: render.table (safe_text).  Above: render.gate_markdown.
A prompt's file name, a model's name, a line of a configuration file come from whoever opened the
pull request.  None may end a table's row, open an element, mention a person, close an issue, or
load an image.
Specification: https://github.github.com/gfm/ (tables, code spans, entities), read 2026-11-27.
Beyond it GitHub finds @mentions, #numbers and addresses in the text of the page, outside of code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from noburn_cli.render.table import safe_text

#: A longer name loses its middle: nobody reads it, and a comment has an end.
NAME_MAX = 160

#: What is no mark-up anywhere in a code span, inside a table or not.
_CODE_SAFE = re.compile(r"[^`|\\\s]+(?: [^`|\\\s]+)*")
#: What GitHub looks for in the text of a page (a dollar sign without an amount begins a formula);
#: an empty comment behind it hides it.
_FOUND_IN_TEXT = r"[@#](?=\w)|:(?=[\w+-]+:)|:(?=//)|www(?=\.)|\$(?=[^\s0-9])"
#: ASCII that is mark-up somewhere, in Markdown or in HTML; an underscore inside a word is none.
_MARK_UP = r"[!-~](?<![A-Za-z0-9 .,;:/()%$+=?'\"_-])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
_ESCAPED = re.compile(f"(?P<found>{_FOUND_IN_TEXT})|{_MARK_UP}")
_HIDE = "<!-- -->"
_QUOTED = re.compile(r"`([^`]+)`")


def code(text: str) -> str:
    """`text` as code, on one line: literally what it is, wherever it is put."""
    shown = _shortened(safe_text(text), NAME_MAX)
    if _CODE_SAFE.fullmatch(shown):
        return f"`{shown}`"
    # A backslash before a pipe cannot be written in a code span inside a table.
    return f"<code>{_escaped(shown)}</code>"


def plain(text: str, *, inside: bool = False) -> str:
    """`text` as running text on one line; what it has in backticks as code.

    inside: whether it goes on after something, so that a blank at its start stays.
    """
    words = " ".join(text.split())
    if inside and text[:1].isspace():
        words = f" {words}"
    parts = _QUOTED.split(safe_text(words))
    return "".join(code(part) if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(text: str) -> str:
    """`text` with nothing left in it that Markdown, HTML or GitHub would obey."""
    return _ESCAPED.sub(_entity, text)


def _entity(match: re.Match[str]) -> str:
    entities = "".join(c if c.isalnum() else f"&#{ord(c)};" for c in match[0])
    return entities + _HIDE if match["found"] else entities


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit // 3]}…{text[len(text) - limit + limit // 3 + 1 :]}"


def link(text: str, address: str) -> str:
    """A link where the address is an ordinary one of the web, else the address as code."""
    if re.fullmatch(r"https://[A-Za-z0-9.-]+(?:/[A-Za-z0-9._~%+=&?#/-]*)?", address):
        return f"[{plain(text)}]({address})"
    return code(address)


def table(headers: Sequence[str], align: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """A table; cells are Markdown already.

    align: a letter a column, `l` or `r`.
    """
    rule = ["--:" if letter == "r" else "---" for letter in align]
    return [f"| {' | '.join(cells)} |" for cells in (headers, rule, *rows)]


def details(summary: str, lines: Sequence[str]) -> list[str]:
    """A part of the page that is folded until somebody opens it.

    summary: our own words: it is HTML.
    """
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"]
