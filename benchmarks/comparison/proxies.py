"""What is started between the SDK and the provider, and how a program is led to it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

_WAIT_S = 120.0
ROOT = Path(__file__).resolve().parents[2]
_PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Front:
    """base_url: where programs are led; "" to put `before` before their command instead."""

    base_url: str
    key: str = "sk-comparison"
    before: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()

    def around(
        self, command: list[str], environment: dict[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        changed = {**environment, "OPENAI_API_KEY": self.key, **dict(self.more)}
        if self.base_url:
            changed["OPENAI_BASE_URL"] = self.base_url
        return [*self.before, *command], changed


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def _running(
    command: list[str], port: int, *, environment: dict[str, str], log: Path, cwd: Path
) -> Iterator[None]:
    """A server, from when it listens until the block ends.  Raises RuntimeError with its log."""
    with log.open("w+") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=cwd)
        try:
            _await(process, port, file)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: TextIO) -> None:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    log.seek(0)
    raise RuntimeError(f"it did not start: {log.read()[-2000:]}")


def _environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), **more}


@contextlib.contextmanager
def noburn(_folder: Path, home: Path, _stub: str, limit: str) -> Iterator[Front]:
    """noburn run: a home of its own, the daemon started by the run and stopped at the end."""
    ours = (("NOBURN_HOME", str(home / "n")), ("PYTHONPATH", f"{ROOT}:{ROOT / 'daemon'}"))
    command = (sys.executable, "-m", "noburn_cli", "run", "--budget", limit, "--")
    yield Front("", before=command, more=ours)
    subprocess.run(
        [sys.executable, "-m", "noburn_cli", "daemon", "stop"],
        env={**os.environ, **dict(ours)}, capture_output=True, check=False,
    )  # fmt: skip


_CAP = """
alerts:
  api_key_budgets:
    fifty:
      daily_usd: {limit}
"""
_POLICY = """
budget_policies:
  - {{name: fifty, scope: model, target: gpt-4o, limit_usd: {limit}, period: daily}}
"""


@contextlib.contextmanager
def _burnlens(folder: Path, home: Path, stub: str, limit: str, budget: str) -> Iterator[Front]:
    port, config = _free_port(), home / "burnlens.yaml"
    config.write_text(f"port: {port}\n{budget.format(limit=limit)}")
    program = [str(folder / "sdk/bin/python"), str(_PROGRAMS / "burnlens_here.py")]
    environment = _environment(home, UPSTREAM=stub)
    subprocess.run(
        [*program, "key", "register", "--label", "fifty", "--provider", "openai",
         "--key", "sk-comparison", "--config", str(config)],
        env=environment, check=True, capture_output=True, cwd=home,
    )  # fmt: skip
    command = [*program, "start", "--config", str(config), "--port", str(port), "--no-env"]
    with _running(command, port, environment=environment, log=home / "log", cwd=home):
        yield Front(f"http://127.0.0.1:{port}/proxy/openai/v1")


@contextlib.contextmanager
def burnlens_cap(folder: Path, home: Path, stub: str, limit: str) -> Iterator[Front]:
    """burnlens: a registered key with a daily cap."""
    with _burnlens(folder, home, stub, limit, _CAP) as front:
        yield front


@contextlib.contextmanager
def burnlens_policy(folder: Path, home: Path, stub: str, limit: str) -> Iterator[Front]:
    """burnlens: a budget policy, which its documentation says reserves."""
    with _burnlens(folder, home, stub, limit, _POLICY) as front:
        yield front


@contextlib.contextmanager
def agentcents(folder: Path, home: Path, stub: str, limit: str) -> Iterator[Front]:
    """agentcents: a daily budget in its file, the provider named by its header, caches off.

    `sync` writes the prices that it brings along, gpt-4o's among them.
    """
    (home / ".agentcents.toml").write_text(f"[budgets]\ndaily = {limit}\n")
    port, program = _free_port(), str(folder / "sdk/bin/agentcents")
    environment = _environment(home)
    subprocess.run([program, "sync"], env=environment, check=True, capture_output=True, cwd=home)
    command = [program, "start", "--port", str(port)]
    with _running(command, port, environment=environment, log=home / "log", cwd=home):
        headers = {"X-Agentcents-Target": stub, "X-Agentcents-Cache": "off"}
        yield Front(
            f"http://127.0.0.1:{port}/openai/v1", more=(("MORE_HEADERS", json.dumps(headers)),)
        )


_AUTH = """
from litellm.proxy._types import UserAPIKeyAuth

async def user_api_key_auth(request, api_key):
    return UserAPIKeyAuth(api_key=api_key, token="fifty", max_budget={limit}, spend=0.0)
"""
_CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {{model: openai/gpt-4o, api_base: "{stub}/v1", api_key: sk-comparison}}
litellm_settings:
  cache: false
  num_retries: 0
general_settings:
  custom_auth: fifty_auth.user_api_key_auth
  custom_auth_run_common_checks: true
  fail_closed_budget_enforcement: {closed}
router_settings: {{redis_host: 127.0.0.1, redis_port: {redis}, num_retries: 0}}
"""


@contextlib.contextmanager
def _litellm(folder: Path, home: Path, stub: str, limit: str, *, closed: bool) -> Iterator[Front]:
    """One worker with its counters in Redis; a key's budget, given by a custom auth function, as
    keys in its database need PostgreSQL and change nothing of how a budget is reserved."""
    port, redis = _free_port(), _free_port()
    (home / "fifty_auth.py").write_text(_AUTH.format(limit=limit))
    config = home / "config.yaml"
    config.write_text(_CONFIG.format(stub=stub, redis=redis, closed=str(closed).lower()))
    environment = _environment(
        home, REDIS_HOST="127.0.0.1", REDIS_PORT=str(redis), LITELLM_LOCAL_MODEL_COST_MAP="True",
        LITELLM_MASTER_KEY="sk-" + secrets.token_urlsafe(32),
    )  # fmt: skip
    store = ["redis-server", "--port", str(redis), "--save", "", "--bind", "127.0.0.1"]
    proxy = [str(folder / "litellm/bin/litellm"), "--config", str(config), "--port", str(port),
             "--host", "127.0.0.1", "--telemetry", "False"]  # fmt: skip
    with (
        _running(store, redis, environment=environment, log=home / "redis.log", cwd=home),
        _running(proxy, port, environment=environment, log=home / "log", cwd=home),
    ):
        yield Front(f"http://127.0.0.1:{port}/v1")


@contextlib.contextmanager
def litellm(folder: Path, home: Path, stub: str, limit: str) -> Iterator[Front]:
    with _litellm(folder, home, stub, limit, closed=False) as front:
        yield front


@contextlib.contextmanager
def litellm_closed(folder: Path, home: Path, stub: str, limit: str) -> Iterator[Front]:
    with _litellm(folder, home, stub, limit, closed=True) as front:
        yield front


Opener = Callable[[Path, Path, str, str], contextlib.AbstractContextManager[Front]]
PROXIES: dict[str, Opener] = {
    "noburn": noburn,
    "burnlens_cap": burnlens_cap,
    "burnlens_policy": burnlens_policy,
    "agentcents": agentcents,
    "litellm": litellm,
    "litellm_closed": litellm_closed,
}
