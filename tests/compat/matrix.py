"""The table of SDKs, and all of them in one go.

    python -m tests.compat.matrix [--only NAME …] [--write]

--write replaces docs/compatibility.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from tests.compat.conductor import Conductor
from tests.compat.page import PAGE, as_page
from tests.compat.results import Report, Sdk
from tests.compat.world import World

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
GUESTS = REPOSITORY / ".venv" / "guests"
#: Programs at once: they mostly wait for each other, for the stub and for the daemon.
AT_ONCE = 4
EMBEDDINGS = frozenset({"embeddings"})
HOOK, GATEWAY = "hook", "gateway"


def _python(
    name: str,
    *apis: str,
    label: str = "",
    environment: str = "current",
    way: str = HOOK,
    no_cap: frozenset[str] = frozenset(),
) -> Sdk:
    python = str(GUESTS / environment / "bin" / "python")
    program = str(HERE / "guests" / "python_guest.py")
    return Sdk(label or name, (python, program, name), way, apis or ("openai",), no_cap)


def _node(name: str, *apis: str) -> Sdk:
    # Node looks for packages beside the program, so the program is beside the packages.
    program = str(GUESTS / "node" / "compat" / "node_guest.mjs")
    return Sdk(name, ("node", program, name), GATEWAY, apis or ("openai",))


#: The slow starters first, so that the last one is short.
PYTHON = (
    _python("litellm", "openai", "anthropic", environment="httpx"),
    _python("openai", no_cap=EMBEDDINGS),
    _python("openai", environment="httpx", no_cap=EMBEDDINGS),
    _python("anthropic", "anthropic"),
    _python("google-genai", "google"),
    _python("mistralai", "mistral"),
    _python("groq", "groq"),
    _python("cohere", "cohere"),
    _python("boto3", "bedrock", label="boto3 bedrock-runtime"),
    _python("langchain-openai"),
    _python("langchain-anthropic", "anthropic"),
    _python("langchain-google-genai", "google"),
    _python("llm"),
    _python("requests"),
    _python("urllib3"),
    _python("urllib", label="urllib (Python)"),
    _python("aiohttp"),
    _python("httpx"),
    _python("httpx2"),
)
NODE = (
    _node("openai"),
    _node("@anthropic-ai/sdk", "anthropic"),
    _node("@google/genai", "google"),
    _node("ai", "openai", "anthropic", "google"),
    _node("@langchain/openai"),
    _node("@langchain/anthropic", "anthropic"),
    _node("axios"),
    _node("fetch"),
)
CURL = _python("curl", way=GATEWAY)
ALL = (*PYTHON, *NODE, CURL)


@contextlib.contextmanager
def open_world() -> Iterator[World]:
    # A socket's path has a limit of some hundred characters, which pytest's folders exceed.
    home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    foreign = ("NOBURN_", "OPENAI", "ANTHROPIC", "GOOGLE", "GEMINI", "AWS_", "NODE_")
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(foreign) and "proxy" not in name.lower()
        },
        "NOBURN_HOME": str(home),
        "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'daemon'}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it looks for a newer one on the network
        "LLM_USER_PATH": str(home / "llm"),
        **{f"{name}_API_KEY": f"{name.lower()}-test-key" for name in
           ("OPENAI", "ANTHROPIC", "GEMINI", "GROQ", "MISTRAL", "CO")},
    }  # fmt: skip
    book = PriceBook.from_texts([resources.shipped_prices()])
    os.environ.setdefault("NOBURN_DAEMON", f'["{sys.executable}", "-m", "noburn_daemon"]')
    world = World(home, environment, book)
    try:
        yield world
    finally:
        world.client.shutdown()
        world.client.close()
        shutil.rmtree(home, ignore_errors=True)


def run_matrix(sdks: Sequence[Sdk]) -> list[Report]:
    """Every cell of every row, in the order of `sdks`."""
    beside = GUESTS / "node" / "compat"
    beside.mkdir(exist_ok=True)
    for file in (HERE / "guests").glob("*.mjs"):
        shutil.copy(file, beside)
    with open_world() as world, ThreadPoolExecutor(AT_ONCE) as pool:
        world.client.status()
        conductors = [Conductor(world, sdk, number) for number, sdk in enumerate(sdks)]
        return list(pool.map(Conductor.conduct, conductors))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    sdks = [sdk for sdk in ALL if not chosen.only or sdk.label in chosen.only]
    reports = run_matrix(sdks)
    page = as_page(reports)
    if chosen.write:
        PAGE.write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
