"""Does an import of gigabytes need more memory than one of megabytes, and what does it cost?

    python -m benchmarks.imports [--megabytes 10,1000] [--folder DIR]

Makes logs of that size in three shapes: LiteLLM's spend logs with prompts, as JSON lines and as one
list over many lines, and Claude Code's, where an answer stands on three lines between long results
of tools.  Imports each into a home of its own, then again (when nothing has changed, and with
--again), and looks at Claude Code's with --detect.  Beside them `json.loads` of every line, which
is what reading costs anybody.  Peak memory and CPU time are the child's own.  Writes
benchmarks/results/imports.json and imports.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.ledger import machine

RESULTS = Path(__file__).parent / "results"
CORPUS = Path(__file__).resolve().parents[1] / "tests" / "corpus" / "imports"
MEGABYTE = 1_000_000
PROMPT = "made up " * 1_500
TOOL_RESULT = "made up " * 2_000
BARE = "import json, sys\nfor line in open(sys.argv[1], 'rb'):\n    json.loads(line)\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", default="10,1000")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    sizes = [int(text) for text in asked.megabytes.split(",")]
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        rows = [row for size in sizes for row in measured(Path(folder), size)]
    found = {
        "machine": machine(), "date": datetime.now(UTC).date().isoformat(), "rows": rows,
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "imports.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (RESULTS / "imports.md").write_text(page(found), encoding="utf-8")
    sys.stdout.write(page(found))
    return 0


def measured(folder: Path, megabytes: int) -> list[dict[str, Any]]:
    """One row for each shape and way."""
    rows = []
    for shape, write in SHAPES.items():
        person = folder / f"person-{shape}-{megabytes}"
        log = person / ".claude" / "projects" / "-srv-a" / f"{shape}.jsonl"
        log.parent.mkdir(parents=True)
        records = write(log, megabytes * MEGABYTE)
        source = "claude-code" if shape == "claude-code" else "litellm"
        bring = ["-m", "noburn_cli", "import", source, str(log)]
        ways = {"import": bring, "again, unchanged": bring, "again, all": [*bring, "--again"]}
        if shape == "claude-code":
            ways["--detect"] = ["-m", "noburn_cli", "import", "--detect", "--days", "3000"]
        if shape != "litellm, one list":
            ways["json.loads alone"] = ["-c", BARE, str(log)]
        for way, command in ways.items():
            cpu_s, peak_mib = run(command, person)
            rows.append({
                "shape": shape, "megabytes": megabytes, "records": records, "way": way,
                "cpu_s": round(cpu_s, 2), "peak_mib": round(peak_mib, 1),
            })  # fmt: skip
        log.unlink()
    return rows


def run(command: list[str], person: Path) -> tuple[float, float]:
    """(CPU seconds, peak resident MiB) of one command."""
    environment = {**os.environ, "HOME": str(person), "NOBURN_HOME": str(person / "noburn")}
    child = subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(said.decode())
    return used.ru_utime + used.ru_stime, _mebibytes(used)


def _mebibytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def write_lines(path: Path, size: int) -> int:
    """LiteLLM's rows, one a line."""
    row = _litellm_row()
    with path.open("w", encoding="utf-8") as file:
        number = 0
        while file.tell() < size:
            number += 1
            file.write(json.dumps({**row, "request_id": f"chatcmpl-{number}"}) + "\n")
    return number


def write_list(path: Path, size: int) -> int:
    """The same rows as one list, each over many lines."""
    row = _litellm_row()
    with path.open("w", encoding="utf-8") as file:
        number, before = 0, "[\n"
        while file.tell() < size:
            number += 1
            file.write(before + json.dumps({**row, "request_id": f"chatcmpl-{number}"}, indent=1))
            before = ",\n"
        file.write("\n]\n")
    return number


def _litellm_row() -> dict[str, Any]:
    row: dict[str, Any] = json.loads((CORPUS / "litellm.json").read_text("utf-8"))[0]
    return {**row, "messages": json.dumps([{"role": "user", "content": PROMPT}])}


def write_session(path: Path, size: int) -> int:
    """Claude Code's lines: a tool's result, then an answer as it grows."""
    answer = json.loads((CORPUS / "claude_code.jsonl").read_text("utf-8").splitlines()[2])
    result = {
        "type": "user", "cwd": answer["cwd"], "sessionId": answer["sessionId"],
        "timestamp": answer["timestamp"],
        "message": {"role": "user", "content": [{"type": "tool_result", "content": TOOL_RESULT}]},
    }  # fmt: skip
    with path.open("w", encoding="utf-8") as file:
        number = 0
        while file.tell() < size:
            number += 1
            file.write(json.dumps(result) + "\n")
            answer["message"]["id"] = f"msg_{number}"
            for part in range(3):
                answer["message"]["usage"]["output_tokens"] = 1 + 100 * part
                file.write(json.dumps(answer) + "\n")
    return number


SHAPES = {"litellm": write_lines, "litellm, one list": write_list, "claude-code": write_session}


def page(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "# Imports over the size of their files", "", f"{found['machine']}; {found['date']}", "",
        "Peak memory and CPU time of one command (benchmarks/imports.py).", "",
        "| file | MB | calls | way | CPU, s | MB a CPU second | peak, MiB |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {row['shape']} | {row['megabytes']:,} | {row['records']:,} | {row['way']} | "
        f"{row['cpu_s']:.2f} | {row['megabytes'] / max(row['cpu_s'], 0.01):,.0f} | "
        f"{row['peak_mib']:.0f} |"
        for row in found["rows"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
