"""A prompt that calls name as the gate does is expected to answer as those calls did."""

from __future__ import annotations

import time

from noburn_cli.paths import ledger_path
from tests.daemon.parts import MODEL
from tests.daemon.taught import Taught, teach
from tests.gate.repository import Repo, words


def _called(name: str, output: int) -> list[Taught]:
    attrs = {"feature": "chat", "tag.prompt": name}
    return [Taught({"input": 10, "output": output}, attrs=attrs)] * 20


def test_calls_with_its_name_teach_a_prompt_and_a_renamed_one_keeps_them(repo: Repo) -> None:
    path = ledger_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    now_ms = time.time_ns() // 1_000_000
    teach(path, [*_called("a.md", 40), *_called("b.md", 700)], start_ms=now_ms - 3_600_000)
    toml = f'[[gate.prompt]]\nfiles = ["*.md"]\nmodel = "{MODEL}"\nfeature = "chat"\n'
    files = {"noburn.toml": toml, "a.md": words(50), "b.md": words(90), "c.md": words(7)}
    repo.commit(files)
    repo.write({"a.md": None, "renamed.md": words(50)})
    outputs = {
        change["name"]: change["after"]["output_tokens"]["high"]
        for change in repo.judged("--base", "HEAD").data["changes"]
    }
    # What nobody called has the feature's mean.
    assert outputs == {"renamed.md": 40, "b.md": 700, "c.md": 370}
