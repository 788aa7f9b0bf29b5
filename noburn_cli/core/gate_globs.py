"""Patterns for files below a folder: `prompts/**/*.md`, with `!` in front of what is left out.

Layer: core (pure).  Below: the standard library.  Above: core.gate_tables, noburn_cli.gating.
Not pathlib's: its matching of `**` came with Python 3.13, and the base's files are names in git.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

#: A pattern with one of these means files that are looked for; without, the one file of that name.
_MAGIC = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Whether `text` is looked for, and not the name of one file."""
    return _MAGIC.search(text) is not None


def fault_of(pattern: str) -> str:
    """What is wrong with a pattern, or ""."""
    plain = pattern.removeprefix("!")
    parts = plain.removeprefix("./").split("/")
    if not plain or "\0" in plain:
        return "it is empty"
    if plain.startswith("/") or {".", ".."} & set(parts) or "\\" in plain:
        return "it may only name files below the configuration's folder, with `/` between folders"
    if "" in parts[:-1] or not parts[-1]:
        return "a file has a name after each `/`"
    if any("**" in part and part != "**" for part in parts):
        return "`**` stands for whole folders, alone between two `/`"
    return ""


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """What each part between two `/` may be; None is `**`, any number of folders, or none."""
    parts = pattern.removeprefix("./").split("/")
    if parts[-1] == "**":
        parts.append("*")  # Any file in any folder below.
    return tuple(None if part == "**" else _segment(part) for part in parts)


def _segment(part: str) -> re.Pattern[str]:
    """A name.  Between two `*` the first place that fits is taken and kept, which loses nothing:
    a regular expression that tried the others, too, would take exponentially long.
    """
    first, *others = _between_stars(part)
    kept = "".join(f"(?>.*?{one})" for one in others[:-1] if one)
    last = f".*{others[-1]}" if others else ""
    return re.compile(first + kept + last, re.DOTALL)


def _between_stars(part: str) -> list[str]:
    out = [""]
    at = 0
    while at < len(part):
        char = part[at]
        end = part.find("]", at + 2) if char == "[" else -1
        if char == "*":
            out.append("")
        elif char == "?":
            out[-1] += "."
        elif end > 0:
            out[-1] += _one_of(part[at + 1 : end])
            at = end
        else:
            out[-1] += re.escape(char)
        at += 1
    return out


def _one_of(inside: str) -> str:
    """What stands in brackets: characters and ranges of them; `!` in front means any other."""
    plain = inside.removeprefix("!")
    parts: list[str] = []
    at = 0
    while at < len(plain):
        if plain[at + 1 : at + 2] == "-" and at + 2 < len(plain):
            parts.append(f"{re.escape(plain[at])}-{re.escape(plain[at + 2])}")
            at += 3
        else:
            parts.append(re.escape(plain[at]))
            at += 1
    return f"[{'^' if plain != inside else ''}{''.join(parts)}]"


def _fits(parts: Sequence[re.Pattern[str] | None], names: Sequence[str]) -> bool:
    """Whether the parts of a pattern mean the names of a path.

    Only the last `**` is ever tried again, for the same reason as in `_segment`.
    """
    at = part = 0
    star = star_at = -1
    while at < len(names):
        wanted = parts[part] if part < len(parts) else None
        if part < len(parts) and wanted is None:
            star, star_at = part, at
            part += 1
        elif wanted is not None and wanted.fullmatch(names[at]):
            part += 1
            at += 1
        elif star >= 0:
            star_at += 1
            part, at = star + 1, star_at
        else:
            return False
    return all(one is None for one in parts[part:])


def matching(pattern: str, paths: Iterable[str]) -> list[str]:
    """The paths that a pattern without `!` means, in their order."""
    try:
        compiled = _compiled(pattern)
    except re.error:  # `[z-a]`: no name has such a character.
        return []
    return [path for path in paths if _fits(compiled, path.split("/"))]


def chosen(patterns: Sequence[str], paths: Sequence[str]) -> dict[str, list[str]]:
    """Which paths each pattern without `!` means, less what a later or earlier `!` leaves out.

    Two patterns may mean one path.
    """
    left_out = {
        path
        for pattern in patterns
        if pattern.startswith("!")
        for path in matching(pattern[1:], paths)
    }
    return {
        pattern: [path for path in matching(pattern, paths) if path not in left_out]
        for pattern in patterns
        if not pattern.startswith("!")
    }
