"""`noburn run --strict`: the gateway can be reached, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.e2e.conftest import World

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux")
    or subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode != 0,
    reason="no network namespaces on this machine",
)

PROGRAM = """
import os, subprocess, sys
import httpx2, openai
ask = dict(model="gpt-6-luna", messages=[{"role": "user", "content": "hello"}],
           max_completion_tokens=20)
with openai.OpenAI() as client:
    print(client.chat.completions.create(**ask).choices[0].finish_reason)
    text = "".join(c.choices[0].delta.content or ""
                   for c in client.chat.completions.create(**ask, stream=True) if c.choices)
    print(bool(text))
try:
    httpx2.get(os.environ["STUB"] + "/v1/models")
except httpx2.ConnectError:
    print("out of reach")
print(subprocess.run(["curl", "-sS", "-m", "5", os.environ["STUB"] + "/v1/models"],
                     capture_output=True).returncode)
subprocess.run("curl -sS -o /dev/null -w '%{http_code}\\n' $OPENAI_BASE_URL/models "
               '-H "Authorization: Bearer $OPENAI_API_KEY"', shell=True)
"""


def test_only_the_gateway_can_be_reached(world: World) -> None:
    provider = world.provider("--default", "x-stub-output-tokens=15")
    world.environment["STUB"] = provider.url
    try:
        done = world.noburn("run", "--strict", "--budget", "1", "--", sys.executable, "-c", PROGRAM)
        assert done.stdout.splitlines() == ["stop", "True", "out of reach", "7", "200"], done.stderr
        assert done.returncode == 0
        assert world.rows("SELECT state FROM calls") == [("settled",)] * 2
        ((cost,),) = world.rows("SELECT sum(cost_nano) FROM calls")
        assert cost == provider.bill()["total_nano"] > 0
        inner = [sys.executable, "-m", "noburn_cli", "run", "--", "true"]
        nested = world.noburn("run", "--strict", "--", *inner)
        assert nested.returncode == 1
        assert "a run inside a strict run" in nested.stderr
    finally:
        provider.close()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare")
def test_where_it_is_not_allowed_nothing_is_started(world: World) -> None:
    """In a user namespace that may have no networks of its own."""
    run = f"{sys.executable} -m noburn_cli run --strict -- echo started"
    shell = f"echo 0 > /proc/sys/user/max_net_namespaces && {run}"
    done = subprocess.run(
        ["unshare", "-r", "sh", "-c", shell],
        env=world.environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "started" not in done.stdout
    assert "this machine does not allow `--strict`" in done.stderr
    assert "No space left on device" in done.stderr
    assert "or run it without --strict" in done.stderr
