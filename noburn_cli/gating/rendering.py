"""Templates rendered in a process of their own, which may use only so much of the machine.

Layer: I/O.  Below: gating.child, gating.templates, gating.trees, errors.  Above: gating.prompts.
Jinja's sandbox keeps a template from Python, not from memory and time: `"a"|center(2000000000)`, or
a loop in a loop.  The system keeps the child from both; it is started at the first template and
serves all of a side.  The limit is of processor time, so that a busy machine refuses nothing else.
Frames are lines of JSON: the parent says what to render; the child asks for each include with
`load`, and ends with `text` or `refused`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import IO, Any

from noburn_cli.errors import InputRefused
from noburn_cli.gating.child import Child
from noburn_cli.gating.documents import missing_extra
from noburn_cli.gating.trees import Tree

#: Processor time for one template; a prompt takes milliseconds.
SECONDS_MAX = 5
#: Address space of the child.  macOS does not hold it: there the time alone ends a template.
BYTES_MAX = 1024**3


class Renderer(Child):
    """Renders templates of one side; `with` ends the child."""

    def __init__(self, tree: Tree) -> None:
        # -P: the working folder is the branch's, and holds what it likes.
        command = (sys.executable, "-P", "-m", "noburn_cli.gating.rendering_child")
        super().__init__(command, is_killed=True)
        self.tree = tree

    def render(
        self, name: str, source: str, variables: Mapping[str, Any], *, root: str | None
    ) -> str:
        """A template's text.

        Raises InputRefused, also where it takes too much; NoburnError without Jinja2.
        """
        asked = {"name": name, "source": source, "root": root, "variables": dict(variables)}
        try:
            return self._answered(name, asked)
        except OSError as error:
            self.close()
            raise _too_much(name) from error

    def _answered(self, name: str, asked: Mapping[str, Any]) -> str:
        if self._process is None and find_spec("jinja2") is None:
            raise missing_extra("Jinja2", f"{name} is a template")
        questions, answers = self.pipes()
        send(questions, asked)
        while True:
            line = answers.readline()
            if not line.endswith(b"\n"):
                self.close()
                raise _too_much(name)
            answer = json.loads(line)
            if "load" in answer:
                send(questions, self._source(answer["load"]))
            elif "text" in answer:
                return str(answer["text"])
            else:
                message, why, next_step = answer["refused"]
                raise InputRefused(message, why=why, next_step=next_step)

    def _source(self, path: str) -> dict[str, Any]:
        """A file of the tree for the child; None where there is none."""
        try:
            found = self.tree.read(path).decode("latin-1") if self.tree.has(path) else None
        except InputRefused as error:
            return {"refused": [error.message, error.why, error.next_step]}
        return {"bytes": found}


def send(pipe: IO[bytes], frame: Mapping[str, Any]) -> None:
    """Write one frame.  Dates of TOML travel as they are written."""
    pipe.write(json.dumps(frame, default=str).encode("ascii") + b"\n")
    pipe.flush()


def _too_much(name: str) -> InputRefused:
    return InputRefused(
        f"{name} takes more than {SECONDS_MAX} s or {BYTES_MAX // 1024**3} GiB to render",
        why="a template of a prompt takes milliseconds; this one multiplies, or does not end",
    )
