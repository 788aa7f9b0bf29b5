"""A git repository with prompts and a gate, and `noburn gate` run in it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.main import main

#: In dollars a million tokens: round numbers, so that a test can be read.
_MODELS = {
    "test-small": ("o200k_base", 1, 10, 1_000),
    "test-big": ("o200k_base", 4, 20, 100_000),
    "test-old": ("cl100k_base", 2, 10, 100_000),
    "test-claude": ("claude", 2, 20, 100_000),
}
_RATE = """
[[model.rate]]
variant = "{variant}"
starts_on = 1970-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = {input}
cache_read = {cached}
output = {output}
"""


def prices(**inputs: float) -> str:
    """A price file; `small=3` gives test-small another price of input."""
    texts = ["format = 1\n"]
    for name, (tokenizer, cost, output, window) in _MODELS.items():
        cost = inputs.get(name.removeprefix("test-"), cost)
        provider = "anthropic" if tokenizer == "claude" else "openai"
        texts.append(
            f'[[model]]\nname = "{name}"\nprovider = "{provider}"\nfamily = "text"\n'
            f'tokenizer = "{tokenizer}"\ncontext_window = {window}\noutput_max = 1000\n'
            'cache_writes = "as_input"\n'
        )
        for variant, part in (("standard", 1.0), ("batch", 0.5)):
            rates = {"input": cost * part, "cached": cost * part / 10, "output": output * part}
            texts.append(_RATE.format(variant=variant, **rates))
    return "".join(texts)


def words(count: int) -> str:
    """A text of so many tokens of o200k and cl100k alike."""
    return "hello" + " world" * (count - 1)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)["data"]

    @property
    def findings(self) -> list[tuple[str, str, str]]:
        return [(one["rule"], one["subject"], one["level"]) for one in self.data["findings"]]


class Repo:
    """One repository, with the working folder in it."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", *arguments],
            cwd=folder or self.path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Files by name; None takes one away."""
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content, encoding="utf-8")

    def commit(self, files: Mapping[str, str | bytes | None]) -> str:
        """Write the files and commit everything; the commit's id."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def gate(self, *arguments: str) -> Done:
        code = main(["gate", *arguments])
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        assert "this is a bug" not in said.err
        return Done(code, said.out, said.err)

    def judged(self, *arguments: str) -> Done:
        """A gate that was held, as JSON: 0 or 3 and nothing else."""
        done = self.gate("--json", *arguments)
        assert done.code == (0 if done.data["passed"] else 3), done.err
        return done


def gate_toml(text: str, *tables: str) -> str:
    """A configuration with our prices: what [gate] says, and [[gate.prompt]] tables."""
    listed = "".join(f"\n[[gate.prompt]]\n{table}\n" for table in tables)
    return f'[gate]\nprices = "prices.toml"\n{text}\n{listed}'


def environment(home: Path) -> dict[str, str]:
    """Of git and of noburn, with none of the person's own settings."""
    return {
        "NOBURN_HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "ada@example.org" for who in ("AUTHOR", "COMMITTER")},
    }
