"""Fifty calls at once through a budget that fits four, in front of the same billing provider.

    python -m benchmarks.comparison.setup /tmp/comparison     # an environment for each tool
    python -m benchmarks.comparison.fifty /tmp/comparison [--only NAME] [--save FOLDER]

Each tool stands in front of the openai SDK as its own documentation says (programs/, proxies.py),
in memory of one process or one proxy worker, which is where it is strongest.  A call asks gpt-4o
for 400 tokens and costs $0.0041; the limit is $0.02.  The provider is noburn's stub, which answers
after half a second and keeps a bill of its own: what counts is that bill, not what a tool says of
itself.  Three situations: 50 calls one after another, 50 at once from nothing, and 50 at once after
a first call has told the tool what one costs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.comparison import proxies
from noburn_cli.demo.stub import BillingStub

LIMIT_USD, MODEL, OUTPUT_TOKENS = "0.02", "gpt-4o", 400
DELAY_MS = 500
MODES = ("row", "together", "warm")
PROGRAMS = Path(__file__).parent / "programs"
_NANO = 10**9
_TIKTOKEN = "litellm/lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"


@dataclass(frozen=True)
class Tool:
    """One way to keep the budget.

    environment: the folder of its virtual environment, "" for noburn's own.
    program: the file in programs/ that makes the calls.  proxy: what is started before, by name.
    package: the distribution whose version is told.  how: what was set, for the table.
    """

    name: str
    environment: str
    program: str
    package: str
    how: str
    proxy: str = ""


TOOLS = (
    Tool("none", "sdk", "plain", "openai", "nothing in front of the SDK"),
    Tool("noburn run", "sdk", "plain", "noburn-cli", "`noburn run --budget 0.02`", "noburn"),
    Tool("agentbudget", "sdk", "agentbudget_wrap", "agentbudget", "`wrap_client`, one session"),
    Tool("cendor-tokenguard", "sdk", "tokenguard_block", "cendor-tokenguard",
         "`budget(usd=…, on_exceed=\"block\")`"),
    Tool("floe-guard", "sdk", "floe_adapter", "floe-guard", "`guarded_completion`"),
    Tool("floe-guard, estimate given", "sdk", "floe_estimate", "floe-guard",
         "`reserve(0.0042)`, `settle`"),
    Tool("noburn (PyPI), local cap", "sdk", "noburn_dev", "noburn",
         "`check`, `record`, `budget_cap_usd`; its server not reachable"),
    Tool("burnlens, key cap", "sdk", "plain", "burnlens", "daily cap of a key", "burnlens_cap"),
    Tool("burnlens, policy", "sdk", "plain", "burnlens", "`budget_policies` of the model",
         "burnlens_policy"),
    Tool("agentcents", "sdk", "plain", "agentcents", "`budgets.daily`", "agentcents"),
    Tool("litellm proxy", "litellm", "plain", "litellm", "`max_budget` of a key, Redis, defaults",
         "litellm"),
    Tool("litellm proxy, fail closed", "litellm", "plain", "litellm",
         "the same, `fail_closed_budget_enforcement: true`", "litellm_closed"),
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What one tool let through.  billed_usd: the provider's own bill."""

    tool: str
    version: str
    how: str
    mode: str
    made: int
    refused: int
    failed: int
    billed_usd: str
    times_the_limit: str
    errors: dict[str, int]


def measure(tool: Tool, folder: Path, *, mode: str) -> Result:
    """Run one tool once.  Raises RuntimeError when its program or proxy fails."""
    defaults = {
        "x-stub-output-tokens": str(OUTPUT_TOKENS),
        "x-stub-delay-ms": "0" if mode == "row" else str(DELAY_MS),
    }
    python = folder / (tool.environment or "sdk") / "bin" / "python"
    with (
        ExitStack() as stack,
        BillingStub(defaults=defaults) as stub,
        tempfile.TemporaryDirectory(prefix="nbc-", dir="/tmp", ignore_cleanup_errors=True) as home,
    ):
        environment = {
            "PATH": os.environ["PATH"], "HOME": home, "OPENAI_API_KEY": "sk-comparison",
            "OPENAI_BASE_URL": f"{stub.url}/v1", "LIMIT_USD": LIMIT_USD, "MODEL": MODEL,
            "OUTPUT_TOKENS": str(OUTPUT_TOKENS), "MODE": mode,
            # tiktoken's files, which litellm carries: a tool that counts has no network here.
            "TIKTOKEN_CACHE_DIR": next(map(str, folder.glob(_TIKTOKEN)), ""),
        }  # fmt: skip
        command = [str(python), str(PROGRAMS / f"{tool.program}.py")]
        if tool.proxy:
            front = stack.enter_context(
                proxies.PROXIES[tool.proxy](folder, Path(home), stub.url, LIMIT_USD)
            )
            command, environment = front.around(command, environment)
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise RuntimeError(f"{tool.name}: {ran.stdout[-500:]}{ran.stderr[-2000:]}")
        said = json.loads(lines[-1])
        billed, made = stub.bill_nano(), len(stub.bill.calls)
    limit_nano = round(float(LIMIT_USD) * _NANO)
    return Result(
        tool.name, version_of(python, tool.package), tool.how, mode, made, said["refused"],
        said["failed"], f"{billed / _NANO:.4f}", f"{billed / limit_nano:.1f}", said["errors"],
    )  # fmt: skip


def version_of(python: Path, package: str) -> str:
    """The installed version of a distribution, in a tool's environment or in ours."""
    for one in (str(python), sys.executable):
        asked = subprocess.run(
            [one, "-c", "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))",
             package],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if asked.returncode == 0:
            return asked.stdout.strip()
    return "?"


def table(results: list[Result]) -> Iterator[str]:
    """The results as Markdown, a line for each tool."""
    yield "| tool | version | how | one after another | 50 at once | 50 at once after a first |"
    yield "|---|---|---|---|---|---|"
    for name in dict.fromkeys(one.tool for one in results):
        mine = {one.mode: one for one in results if one.tool == name}
        some = next(iter(mine.values()))
        cells = [_cell(mine[mode]) if mode in mine else "" for mode in MODES]
        yield f"| {' | '.join((name, some.version, some.how, *cells))} |"


def _cell(one: Result) -> str:
    failed = f", {one.failed} failed" if one.failed else ""
    return f"{one.made} went, ${one.billed_usd} ({one.times_the_limit}×){failed}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    results = []
    for tool in TOOLS:
        if options.only and tool.name not in options.only:
            continue
        for mode in MODES:
            try:
                results.append(measure(tool, options.folder.absolute(), mode=mode))
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                print(f"{tool.name}: not measured: {error}", file=sys.stderr)
                break
            print(list(table(results[-1:]))[-1], results[-1].errors, file=sys.stderr)
    if options.save:
        results = _saved(options.save, results)
    print("\n".join(table(results)))
    return 0


def _saved(folder: Path, results: list[Result]) -> list[Result]:
    """Write the day's results, with those of tools that were measured before on the same day."""
    day = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    path = folder / f"fifty-{day}.json"
    if path.exists():
        measured = {one.tool for one in results}
        earlier = [Result(**one) for one in json.loads(path.read_text())["results"]]
        results = [*results, *(one for one in earlier if one.tool not in measured)]
    order = [tool.name for tool in TOOLS]
    results.sort(key=lambda one: (order.index(one.tool), MODES.index(one.mode)))
    data = {"date": day, "limit_usd": LIMIT_USD, "results": [asdict(one) for one in results]}
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text("\n".join(table(results)) + "\n")
    return results


if __name__ == "__main__":
    raise SystemExit(main())
