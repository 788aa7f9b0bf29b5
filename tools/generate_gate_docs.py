"""Write into docs/gate.md what the gate says of the sample in examples/gate.

    python tools/generate_gate_docs.py           write it
    python tools/generate_gate_docs.py --check   exit 1 when it is stale

The sample becomes a real git repository, with fixed dates so that its commits have the same names
everywhere; the gate is held at a fixed moment: a price that changes by date changes no page.
What differs with every price book (its digest, the days on which prices were read) is not compared.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "daemon")]

from noburn_cli.core.gate_model import GateResult  # noqa: E402 -- the tree's own
from noburn_cli.core.recorded_findings import findings  # noqa: E402
from noburn_cli.gating.comparing import run_gate  # noqa: E402
from noburn_cli.gating.places import Question  # noqa: E402
from noburn_cli.recording.comparing import judge  # noqa: E402
from noburn_cli.render.gate_markdown import render_markdown  # noqa: E402
from noburn_cli.render.gate_table import render_gate  # noqa: E402

PAGE = ROOT / "docs" / "gate.md"
SAMPLE = ROOT / "examples" / "gate"
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
WIDTH = 118
PERSON = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (
        *(("NAME", "sample"), ("EMAIL", "sample@example.com")),
        ("DATE", "2026-11-27T12:00:00Z"),
    )
}
_REGION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
#: What another price book with the same rates has otherwise.
_VARYING = re.compile(r"[Bb]ook [0-9a-f]{8,}|\d{4}-\d\d-\d\d")


def git(folder: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], cwd=folder, env=environment | PERSON, check=True)


def sample_result(folder: Path) -> GateResult:
    """The gate on the sample with its pull request, in a new repository below `folder`."""
    work = folder / "desk"
    shutil.copytree(SAMPLE / "repository", work)
    git(work, "init", "--quiet", "--initial-branch", "main")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "the sample")
    git(work, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(work, "apply", str(SAMPLE / "pull-request.patch"))
    recordings = work / ".noburn" / "recordings"
    recordings.mkdir(parents=True)
    shutil.copy(SAMPLE / "recording" / "agents.json", recordings)
    environment = {"NOBURN_HOME": str(folder / "home"), "PATH": os.environ["PATH"]}
    result, gate, place = run_gate(
        Question(environment, work, may_be_empty=True),
        ledger_path=folder / "home" / "ledger.sqlite3",
        at_ms=int(AT.timestamp() * 1000),
    )
    evidence = judge(["agents"], gate.recording, place.folder)
    found = (*result.findings, *findings(evidence))
    return replace(result, findings=found, evidence=evidence)


def generate(page: str) -> str:
    """The page with its regions as they are to be."""
    with tempfile.TemporaryDirectory() as folder:
        result = sample_result(Path(folder))
    table = "\n".join(render_gate(result, width=WIDTH, show_all=False))
    comment = "\n".join(f"> {line}".rstrip() for line in render_markdown(result).splitlines()[1:])
    texts = {
        "table": f"```console\n$ noburn gate --recording agents\n{table}\n```\n",
        "comment": f"{comment}\n",
    }
    return _REGION.sub(lambda match: f"{match[1]}{texts[match[2]]}{match[3]}", page)


def stale(page: str) -> bool:
    return _VARYING.sub("", generate(page)) != _VARYING.sub("", page)


def main() -> int:
    page = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        if stale(page):
            print(f"{PAGE.relative_to(ROOT)} is stale: run `make docs`")
            return 1
        return 0
    if stale(page):
        PAGE.write_text(generate(page), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
