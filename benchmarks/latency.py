"""What noburn adds to a call: the hook and the gateway, beside the direct call and a known proxy.

All in one run, against one provider that answers at once.  Every round gives each way its calls in
turn, so that a busy machine is busy for all of them; latencies of all rounds are put together.
What is added is a percentile minus the same percentile of the direct calls of the same client:
httpx2 for the hook (which lives in it), bare sockets for the gateway and the proxy.

    python -m benchmarks.latency [--rounds 5] [--calls 600] [--write]

The proxy is LiteLLM's, installed from its package into an environment of its own (--proxy-venv, by
default in the cache folder), started as its documentation says, with one model and no budgets: it
forwards and counts, where noburn also reserves and settles.  --write replaces
benchmarks/results/latency.json and latency.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from noburn_cli.enforce.launch import LaunchSettings, child_environment
from noburn_cli.version import __version__

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CLIENT = ROOT / "benchmarks" / "latency_client.py"
PARALLEL = (1, 16, 64)
PROXY_START_S = 180.0

DIRECT_HTTPX, HOOK = "direct, httpx2", "hook, httpx2"
DIRECT_RAW, GATEWAY, PROXY = "direct, sockets", "gateway, sockets", "LiteLLM proxy, sockets"
#: Each way, and what it is added to.
ADDED_TO = {HOOK: DIRECT_HTTPX, GATEWAY: DIRECT_RAW, PROXY: DIRECT_RAW}


@dataclass
class Way:
    """One way to the provider: a client process that takes orders."""

    process: subprocess.Popen[str]
    taken: dict[int, list[int]] = field(default_factory=lambda: {n: [] for n in PARALLEL})

    def call(self, parallel: int, calls: int, *, keep: bool) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"parallel": parallel, "calls": calls}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a client ended: {self.process.args}")
        if keep:
            self.taken[parallel].extend(json.loads(line))


def start_client(
    kind: str, environment: dict[str, str], *before: str, python: str = sys.executable
) -> Way:
    """A client, behind a command such as `noburn run --`; ready when this returns."""
    process = subprocess.Popen(
        [*before, python, str(CLIENT), kind],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise SystemExit(f"a client did not start: {process.args}")
    return Way(process)


@contextlib.contextmanager
def provider() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.latency_provider"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def litellm_proxy(url: str, venv: Path, folder: Path) -> Iterator[tuple[str, str, str]]:
    """(URL, key, version) of a running proxy; installed first if it isn't."""
    python = venv / "bin" / "python"
    if not (venv / "bin" / "litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "litellm[proxy]"], check=True)
    version = subprocess.run(
        [str(python), "-c", "from importlib.metadata import version; print(version('litellm'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    config = folder / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: gpt-6-luna\n    litellm_params:\n"
        f"      model: openai/gpt-6-luna\n      api_base: {url}/v1\n      api_key: x\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = f"sk-{secrets.token_hex(32)}"  # it does not start without one
    log = (folder / "litellm.log").open("w")
    process = subprocess.Popen(
        [str(venv / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1",
         "--port", str(port), "--num_workers", "1"],
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR",
             "LITELLM_MASTER_KEY": key},
        stdout=log, stderr=log, cwd=folder,
    )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/health/liveliness", process)
        yield f"http://127.0.0.1:{port}", key, version
    finally:
        process.terminate()
        process.wait()
        log.close()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PROXY_START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.5)
    raise SystemExit(f"{url} does not answer")


def measure(rounds: int, calls: int, venv: Path) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    bare = {k: v for k, v in os.environ.items() if not k.startswith("NOBURN_")}
    noburn = (sys.executable, "-m", "noburn_cli", "run", "--budget", "1000", "--")
    ways: dict[str, Way] = {}
    try:
        with provider() as url, litellm_proxy(url, venv, folder) as proxy:
            proxy_url, key, version = proxy
            base = {**bare, "NOBURN_HOME": str(folder), "OPENAI_API_KEY": "x",
                    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'daemon'}",
                    "OPENAI_BASE_URL": f"{url}/v1"}  # fmt: skip
            # No hook: an environment of its own, and so by the gateway as any other program.
            unhooked = (*noburn, "env", "-u", "PYTHONPATH")
            ways[DIRECT_HTTPX] = start_client("httpx2", base)
            ways[HOOK] = start_client("httpx2", base, *noburn)
            ways[DIRECT_RAW] = start_client("raw", base)
            ways[GATEWAY] = start_client("raw", base, *unhooked)
            ways[PROXY] = start_client(
                "raw", {**base, "BASE_URL": f"{proxy_url}/v1", "OPENAI_API_KEY": key}
            )
            for number in range(rounds + 1):  # the first one warms up
                for parallel in PARALLEL:
                    for way in ways.values():
                        way.call(parallel, calls if number else calls // 4, keep=number > 0)
            end(ways)
            return summarise(ways, rounds, calls, version)
    finally:
        end(ways)
        stop = [sys.executable, "-m", "noburn_cli", "daemon", "stop"]
        subprocess.run(stop, env={**bare, "NOBURN_HOME": str(folder)}, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


def measure_node(rounds: int) -> dict[str, float] | None:
    """A start of Node with our preload beside one without: medians in ms, median of ratios.

    Beside a bare one, and beside one that loads `https`, as a program that calls does anyway.
    None without Node.
    """
    if shutil.which("node") is None:
        return None
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("NOBURN_", "NODE_"))}
    told = child_environment(
        bare, LaunchSettings(), run="r1", home=Path("/nowhere"), daemon_command=[]
    )
    starts = {
        "bare": ("0", bare),
        "bare_with_preload": ("0", {**told, "NOBURN_GATEWAY": "http://127.0.0.1:9"}),
        "https": ("require('https')", bare),
        "https_with_preload": (
            "require('https')", {**told, "NOBURN_GATEWAY": "http://127.0.0.1:9"},
        ),
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in starts}
    for number in range(rounds + 1):
        for name, (code, environment) in starts.items():
            began = time.perf_counter()
            subprocess.run(["node", "-e", code], env=environment, check=True)
            if number:
                times[name].append((time.perf_counter() - began) * 1000)
    found = {f"{name}_ms": round(statistics.median(taken), 1) for name, taken in times.items()}
    for name in ("bare", "https"):
        pairs = zip(times[f"{name}_with_preload"], times[name], strict=True)
        found[f"{name}_ratio"] = round(statistics.median(a / b for a, b in pairs), 3)
    return found


def end(ways: dict[str, Way]) -> None:
    for way in ways.values():
        assert way.process.stdin is not None
        with contextlib.suppress(OSError):
            way.process.stdin.close()
        way.process.wait(30)


def percentile_ms(taken: list[int], share: float) -> float:
    ordered = sorted(taken)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6


def summarise(
    ways: dict[str, Way], rounds: int, calls: int, proxy_version: str
) -> dict[str, object]:
    """p50 and p99 in milliseconds, and what of it is added to the direct call."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, way in ways.items():
        found[name] = {}
        for parallel, taken in way.taken.items():
            row = {"p50_ms": percentile_ms(taken, 0.5), "p99_ms": percentile_ms(taken, 0.99)}
            beside = ways.get(ADDED_TO.get(name, ""))
            if beside is not None:
                for key, share in (("p50", 0.5), ("p99", 0.99)):
                    direct = percentile_ms(beside.taken[parallel], share)
                    row[f"added_{key}_ms"] = row[f"{key}_ms"] - direct
            found[name][str(parallel)] = {key: round(value, 3) for key, value in row.items()}
    return {
        "rounds": rounds,
        "calls": calls,
        "noburn": __version__,
        "litellm": proxy_version,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "ways": found,
    }


def as_markdown(summary: dict[str, object]) -> str:
    """The result as a page.  The times are of one machine; the ratios travel better."""
    ways = summary["ways"]
    assert isinstance(ways, dict)
    lines = [
        "# Added latency: hook and gateway, beside the direct call and a proxy",
        "",
        f"noburn {summary['noburn']}, LiteLLM proxy {summary['litellm']},",
        f"Python {summary['python']}, {summary['system']}.",
        f"{summary['rounds']} rounds of {summary['calls']} calls a way and level, interleaved,",
        "against a provider that answers at once.",
        "Under noburn each call is reserved, durably, and settled; the proxy has no budgets and no",
        "database. Everything shares the processors, so many calls at once measure throughput.",
        "",
        "| way | at once | p50 ms | p99 ms | added p50 | added p99 | of the proxy's p50 | p99 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, levels in ways.items():
        for parallel, row in levels.items():
            cells = [name, parallel, row["p50_ms"], row["p99_ms"]]
            if "added_p50_ms" in row:
                cells += [row["added_p50_ms"], row["added_p99_ms"]]
                cells += [_share(row, ways[PROXY][parallel], key) for key in ("p50", "p99")]
            else:
                cells += [""] * 4
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    node = summary["node"]
    if isinstance(node, dict):
        bare = f"{node['bare_with_preload_ms']} ms beside {node['bare_ms']}"
        https = f"{node['https_with_preload_ms']} ms beside {node['https_ms']}"
        lines += [
            "",
            "A start of Node with the preload, in times of one without:",
            f"{node['bare_ratio']} ({bare}); of a program that loads `https` anyway,",
            f"{node['https_ratio']} ({https}).",
        ]
    return "\n".join([*lines, "", "Made by `python -m benchmarks.latency --write`.", ""])


def _share(row: dict[str, float], proxy: dict[str, float], key: str) -> str:
    if row is proxy:
        return "1"
    return f"{row[f'added_{key}_ms'] / proxy[f'added_{key}_ms']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="What noburn adds to a call.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=600)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--proxy-venv", type=Path, default=cache / "noburn-bench" / "litellm")
    parser.add_argument("--write", action="store_true", help="replace the committed results")
    options = parser.parse_args()
    summary = measure(options.rounds, options.calls, options.proxy_venv)
    summary["node"] = measure_node(30)
    page = as_markdown(summary)
    print(page)
    if options.write:
        (RESULTS / "latency.json").write_text(json.dumps(summary, indent=2) + "\n")
        (RESULTS / "latency.md").write_text(page)


if __name__ == "__main__":
    main()
