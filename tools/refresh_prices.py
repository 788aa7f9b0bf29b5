"""Make pricing.toml anew from its sources, and say what differs.

    python tools/refresh_prices.py                      write, with litellm's JSON where it is found
    python tools/refresh_prices.py --second FILE        … with that copy of litellm's JSON
    python tools/refresh_prices.py --check              write nothing; exit 1 where anything differs

Rates come from genai-prices; limits, retirement dates and what the first source lacks come from
litellm's JSON; which models, which tokenizer and the like from tools/prices_manual.toml.

A row that was released is never changed: a new price appends a row that starts on the day of the
run.  Rows that are not yet in force follow the source.  To correct a row that was wrong when it
was written, edit pricing.toml by hand and say why in the commit.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from noburn_cli.core.pricebook import PriceBook  # noqa: E402
from noburn_cli.price_sources.genai import first_models  # noqa: E402
from noburn_cli.price_sources.litellm_json import installed_file, second_models  # noqa: E402
from noburn_cli.price_sources.making import SourceGap, new_models  # noqa: E402
from noburn_cli.price_sources.merging import Findings, Inputs  # noqa: E402
from noburn_cli.price_sources.writing import render_book  # noqa: E402

BOOK = ROOT / "pricing.toml"
MANUAL = ROOT / "tools" / "prices_manual.toml"


def gather(second: Path | None, *, check: bool, on: date | None) -> tuple[Inputs, dict[str, Any]]:
    """Read the sources, the hand-kept part and the committed book."""
    text = BOOK.read_text(encoding="utf-8") if BOOK.exists() else "format = 1\n"
    generated = tomllib.loads(text).get("generated", {})
    book = PriceBook.from_texts([("pricing.toml", text)])
    manual = tomllib.loads(MANUAL.read_text(encoding="utf-8"))
    version, first = first_models(
        [*manual["urls"], *(owner for group in manual["auto"] for owner in group["first"])]
    )
    recorded = generated.get("checked_on")
    today = on or (recorded if check and recorded else datetime.now(tz=timezone.utc).date())
    head = {
        "checked_on": today,
        "genai_prices": version,
        "litellm": manual["litellm"] if second else generated.get("litellm", ""),
    }
    inputs = Inputs(
        manual=manual,
        first=first,
        second=second_models(second, _more(manual)) if second else None,
        committed={model.name: model for model in book.models()},
        today=today,
        recheck=generated.get("genai_prices") != version,
    )
    return inputs, head


def _more(manual: dict[str, Any]) -> list[str]:
    return [name for group in manual["auto"] for name in group["second"]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make pricing.toml anew and say what differs.")
    parser.add_argument("--second", type=Path, help="a copy of litellm's JSON of prices")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    parser.add_argument("--on", type=date.fromisoformat, help="the day of the comparison")
    options = parser.parse_args(arguments)
    second = options.second or installed_file()
    inputs, head = gather(second, check=options.check, on=options.on)
    findings = Findings()
    try:
        models = new_models(inputs, findings)
    except SourceGap as gap:
        raise SystemExit(str(gap)) from gap
    text = render_book(models, inputs.manual["prefixes"], head)
    PriceBook.from_texts([("the new book", text)])
    decided = inputs.manual["decided"]
    open_questions = [one for one in findings.between_sources if one not in decided]
    _print("the sources differ, undecided", open_questions)
    closed = [f"{one}: {decided[one]}" for one in findings.between_sources if one in decided]
    _print("the sources differ, decided in prices_manual.toml", closed)
    _print("windows, the largest or the one given by hand taken", findings.windows)
    _print("left out, or in one source alone", findings.left_out)
    _print("changes of price and content", findings.changes)
    committed = BOOK.read_text(encoding="utf-8") if BOOK.exists() else ""
    if options.check:
        lines = difflib.unified_diff(
            committed.splitlines(), text.splitlines(), "pricing.toml", "sources", lineterm="", n=2
        )
        _print("pricing.toml against its sources", list(lines))
        return 1 if open_questions or committed != text else 0
    BOOK.write_text(text, encoding="utf-8")
    return 0


def _print(title: str, lines: list[str]) -> None:
    if lines:
        print(f"== {title}: {len(lines)}")
        print(*lines, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
