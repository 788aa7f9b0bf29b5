"""The demo's agent: a job of many calls that knows nothing of budgets.

Layer: demo.  Below: demo.voices, demo.brief.  Started as `python -m noburn_cli.demo.agent` by
`noburn run`, which is what stops it.
It plans each question with one provider's model and writes it with the other's, streams both,
prints what it does, and when a call is refused keeps what it has.
"""

from __future__ import annotations

import os
import sys
import textwrap
from functools import partial

from noburn_cli.demo.brief import PLANNER, QUESTIONS, WRITER, WRITER_CAP_TOKENS, prompt_for
from noburn_cli.demo.voices import Said, StoppedError, choose_voice

_INDENT = 6
_WIDTH = 88


def main() -> int:
    """Work through the brief; 0 when it ended by itself, stopped or not."""
    voice = choose_voice()
    planned = 2 * len(QUESTIONS)
    _say(f"agent: {planned} calls to make, with {voice.name}")
    done = 0
    for question in QUESTIONS:
        prompt = prompt_for(question)
        steps = (
            (PLANNER, partial(voice.respond, PLANNER, prompt)),
            (WRITER, partial(voice.write, WRITER, prompt, cap=WRITER_CAP_TOKENS)),
        )
        for model, ask in steps:
            try:
                said = ask()
            except StoppedError as error:
                _say(f"  {done + 1:>2}  {model:<18} {error.seen_as}, HTTP {error.status}:")
                for line in textwrap.wrap(error.message, _width()):
                    _say(" " * _INDENT + line)
                _say(f"agent: stopped in mid-job, keeping the {done} answers it has")
                return 0
            done += 1
            _say(_line(done, model, said))
    _say(f"agent: all {done} calls made")
    return 0


def _width() -> int:
    """Of the message, on the terminal that the demo is shown on."""
    return min(_WIDTH, int(os.environ.get("NOBURN_COLUMNS", _WIDTH + _INDENT)) - _INDENT)


def _line(number: int, model: str, said: Said) -> str:
    cut = ", ended at its cap" if said.cut else ""
    tokens = f"{said.input_tokens:>4} tokens in, {said.output_tokens:>4} out"
    return f"  {number:>2}  {model:<18} {tokens}, streamed in {said.pieces} pieces{cut}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
