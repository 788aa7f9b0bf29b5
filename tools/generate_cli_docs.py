"""Write completions/, man/ and docs/cli-reference.md out of the command line itself.

    python tools/generate_cli_docs.py           write what is stale, remove what no command needs
    python tools/generate_cli_docs.py --check   name what is stale and exit 1

Not click-man or help2man: typer carries its own click inside, which the first doesn't know and the
second renders badly (tried 2026-11-23).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "daemon")]

from noburn_cli.cli import build_group  # noqa: E402 -- the tree's own, installed or not
from noburn_cli.version import __version__  # noqa: E402

PROGRAM = "noburn"
WIDTH = 80
COMPLETIONS = {"bash": "noburn.bash", "zsh": "_noburn", "fish": "noburn.fish"}

EXIT_CODES = (
    ("0", "done"),
    ("1", "failed"),
    ("2", "wrong usage"),
    ("3", "noburn ended it for a limit"),
    ("4", "the daemon or the ledger is not available"),
    ("126, 127", "run: the command cannot be executed, or was not found"),
    ("128 + n", "ended by signal n; otherwise run passes the child's own code on"),
)
ENVIRONMENT = (
    ("NOBURN_HOME", "Where configuration, state and the daemon's socket are kept."),
    ("NOBURN_PRICES", "Your own price file, laid over the shipped one."),
    ("NOBURN_DEBUG", "1 shows the traceback of an error."),
)


@dataclass(frozen=True)
class Page:
    """One command with the context that its help is rendered in."""

    words: tuple[str, ...]
    command: Any
    context: Any

    @property
    def name(self) -> str:
        return " ".join(self.words)

    @property
    def file_name(self) -> str:
        return "-".join(self.words)


def walk(command: Any, words: tuple[str, ...] = (PROGRAM,), parent: Any = None) -> Iterator[Page]:
    """The command and all below it, in the order of `--help`."""
    context = typer.Context(command, info_name=words[-1], parent=parent, terminal_width=WIDTH)
    if parent is None:
        context.help_option_names = ["-h", "--help"]
    yield Page(words, command, context)
    for name in subcommands(command, context):
        yield from walk(command.get_command(context, name), (*words, name), context)


def subcommands(command: Any, context: Any) -> list[str]:
    """The names that help shows: one that was moved away has no page."""
    if not hasattr(command, "list_commands"):
        return []
    names = command.list_commands(context)
    return [name for name in names if not command.get_command(context, name).hidden]


def summary(page: Page) -> str:
    """The first paragraph of a command's docstring, on one line."""
    return paragraphs(page)[0]


def paragraphs(page: Page) -> list[str]:
    text = (page.command.help or "").partition("\f")[0].strip()
    assert text, f"{page.name} has no docstring"
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]


# --- man pages -----------------------------------------------------------------------------------


def roff(text: str) -> str:
    """`text` with nothing left that roff would obey."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    escaped = escaped.replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    escaped = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in escaped)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def man_page(page: Page) -> str:
    """One page in man(7) macros; its date is its release, so that it says the same every day."""
    lines = [
        f'.TH "{page.file_name.upper()}" "1" "" "noburn {__version__}" "noburn manual"',
        ".SH NAME",
        f"{roff(page.file_name)} \\- {roff(summary(page).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {roff(page.name)}",
        roff(" ".join(page.command.collect_usage_pieces(page.context))),
        ".SH DESCRIPTION",
    ]
    for paragraph in paragraphs(page):
        lines += [".PP", roff(paragraph)]
    lines += _man_records("ARGUMENTS", _records(page, "argument"))
    lines += _man_records("OPTIONS", _records(page, "option"))
    below = [
        (
            name,
            summary(Page((*page.words, name), page.command.get_command(page.context, name), None)),
        )
        for name in subcommands(page.command, page.context)
    ]
    lines += _man_records("COMMANDS", below)
    if len(page.words) == 1:
        lines += _man_records("EXIT STATUS", list(EXIT_CODES))
        lines += _man_records("ENVIRONMENT", list(ENVIRONMENT))
    lines += _see_also(page)
    return "\n".join(lines) + "\n"


def _records(page: Page, kind: str) -> list[tuple[str, str]]:
    """(how it is written, what it does) of the command's parameters of one kind."""
    records = []
    for parameter in page.command.get_params(page.context):
        record = parameter.get_help_record(page.context)
        if parameter.param_type_name == kind and record is not None:
            records.append(record)
    return records


def _man_records(title: str, records: list[tuple[str, str]]) -> list[str]:
    if not records:
        return []
    lines = [f".SH {title}"]
    for term, text in records:
        lines += [".TP", f".B {roff(term)}"]
        if text:
            lines.append(roff(" ".join(text.split())))
    return lines


def _see_also(page: Page) -> list[str]:
    near = ["-".join((*page.words, name)) for name in subcommands(page.command, page.context)]
    if len(page.words) > 1:
        near.insert(0, "-".join(page.words[:-1]))
    references = [f".BR {roff(name)} (1)" for name in near]
    return [".SH SEE ALSO", *(f"{line} ," for line in references[:-1]), *references[-1:]]


# --- the reference and the completions -----------------------------------------------------------


def reference(pages: list[Page]) -> str:
    """docs/cli-reference.md: every `--help`, as it is printed."""
    lines = [
        "# The command line",
        "",
        "Generated from the program by `tools/generate_cli_docs.py`; a test says when it is stale.",
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES),
        "",
    ]
    for page in pages:
        shown = page.command.get_help(page.context).strip()
        lines += [f"## {page.name}", "", "```", shown, "```", ""]
    return "\n".join(lines)


#: typer's script is made to be sourced.  From a folder in `fpath` zsh runs it as the function
#: `_noburn` at the first Tab: it must then complete, or the first Tab does nothing.
_ZSH_REGISTERS = f"compdef _{PROGRAM}_completion {PROGRAM}\n"
_ZSH_COMPLETES = f"""\
if [[ $funcstack[1] == _{PROGRAM} ]]; then
  _{PROGRAM}_completion "$@"
fi
{_ZSH_REGISTERS}"""


def completion(shell: str) -> str:
    """The script as `_NOBURN_COMPLETE=source_SHELL noburn` prints it."""
    paths = os.pathsep.join((str(ROOT), str(ROOT / "daemon")))
    printed = subprocess.run(
        [sys.executable, "-m", "noburn_cli"],
        env={**os.environ, "_NOBURN_COMPLETE": f"source_{shell}", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    # zsh looks for `#compdef` on the first line only.
    script = printed.stdout.strip() + "\n"
    return script.replace(_ZSH_REGISTERS, _ZSH_COMPLETES) if shell == "zsh" else script


def generate() -> dict[str, str]:
    """Path from the root -> content, of every generated file."""
    pages = list(walk(build_group()))
    files = {f"man/{page.file_name}.1": man_page(page) for page in pages}
    files["docs/cli-reference.md"] = reference(pages)
    files |= {f"completions/{name}": completion(shell) for shell, name in COMPLETIONS.items()}
    return files


def stale(files: dict[str, str], *, root: Path = ROOT) -> list[str]:
    """Paths that differ from `files`, are missing, or that no command needs any more."""
    differing = [
        path
        for path, content in files.items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != content
    ]
    there = [*(root / "man").glob("*"), *(root / "completions").glob("*")]
    left_over = {path.relative_to(root).as_posix() for path in there} - files.keys()
    return sorted([*differing, *left_over])


def main() -> None:
    files = generate()
    names = stale(files)
    if sys.argv[1:] == ["--check"]:
        print("\n".join(f"stale: {name}" for name in names))
        sys.exit(1 if names else 0)
    for name in names:
        path = ROOT / name
        if name in files:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[name], encoding="utf-8")
            print(f"wrote {name}")
        else:
            path.unlink()
            print(f"removed {name}")


if __name__ == "__main__":
    main()
