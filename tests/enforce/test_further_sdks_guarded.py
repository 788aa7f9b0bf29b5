"""The SDKs of other providers below a run: every call settled at what the stub bills, and a server
that nobody listed refused with the lines that would list it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomllib

from noburn_cli.demo.stub import BillingStub
from noburn_cli.enforce.launch import LaunchSettings, child_environment
from noburn_cli.prices import load_book

PROGRAMS = Path(__file__).parents[1] / "providers" / "guests"
PRICES = PROGRAMS / "prices.toml"
PYTHON = Path(sys.prefix) / "guests" / "current" / "bin" / "python"
CLAUDE = "us.anthropic.claude-haiku-5-5-v1:0"
UNLISTED = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("program", "mount", "arguments", "calls"),
    [
        ("gemini", "/gemini", ("gemini-3.8-flash",), 5),
        ("bedrock", "", (CLAUDE,), 7),
        ("others", "", (), 8),
    ],
)
def test_every_call_is_settled_at_its_bill(
    program: str, mount: str, arguments: tuple[str, ...], calls: int, home: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("NOBURN_PRICES", str(PRICES))
    book = load_book({"NOBURN_PRICES": str(PRICES)})
    with BillingStub(book=book, defaults={"x-stub-output-tokens": "80"}) as stub:
        environment = child_environment(
            {**os.environ, **base_urls(stub.url)},
            LaunchSettings(),
            run="r1",
            home=home.folder,
            daemon_command=[sys.executable, "-m", "noburn_daemon"],
        )
        command = [str(PYTHON), "-W", "ignore", str(PROGRAMS / f"{program}.py")]
        ran = subprocess.run(
            [*command, stub.url + mount, *arguments, UNLISTED, UNLISTED],
            env=environment, capture_output=True, text=True, timeout=240, check=False, cwd="/",
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert stub.wait_idle()
        billed = stub.bill_nano()
        assert len(stub.bill.calls) == calls
    states = home.states()
    assert states.count("settled") == calls, states
    assert home.cost_nano() == billed > 0
    seen = json.loads(ran.stdout)
    blocked = seen["blocked"] if program == "others" else [seen["blocked"]]
    for status, message in blocked:
        assert status == 402
        (endpoint,) = tomllib.loads(message.partition("\n\n")[2])["endpoint"]
        assert endpoint["base_url"].startswith(UNLISTED)
        assert endpoint["prices"] == "free"


def base_urls(url: str) -> dict[str, str]:
    """The variables that say which provider the stub stands for where; the programs are told."""
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "GOOGLE_GEMINI_BASE_URL": f"{url}/gemini",
        "GROQ_BASE_URL": f"{url}/groq",
        "MISTRAL_API_BASE": f"{url}/mistral",
        "CO_API_URL": url,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
    }
