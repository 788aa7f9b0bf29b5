"""A home with a real daemon and a real `noburn dashboard` over it.  Not a test."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from noburn_cli.client import Client
from tests.warm import run_noburn

_FOREIGN = ("NOBURN_", "OPENAI_", "ANTHROPIC_")
NOBURN = (sys.executable, "-m", "noburn_cli")


class Desk:
    """One NOBURN_HOME in a folder of its own; what it started ends with it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))  # A socket's path is short.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        self.environment = {**kept, "NOBURN_HOME": str(self.home), "COLUMNS": "100"}
        self.ledger = self.home / "ledger.sqlite3"
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for process in self._started:
            if process.poll() is None:
                process.terminate()
            process.communicate()
        if (self.home / "daemon.sock").exists():
            self.noburn("daemon", "stop")
        shutil.rmtree(self.home, ignore_errors=True)

    def noburn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that runs to its end, in a process of its own."""
        return run_noburn(arguments, env=self.environment)

    def here(self, *arguments: str) -> tuple[int, str, str]:
        """Code, output and errors of a command that starts nothing, in this process: fast."""
        from noburn_cli.main import main

        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "environ", self.environment)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(arguments)
        return code, out.getvalue(), err.getvalue()

    def said(self, *arguments: str) -> Any:
        """The data of a command's --json."""
        code, out, err = self.here(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)["data"]

    def client(self) -> Client:
        return Client(home=self.home, start_daemon=False)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """A command of noburn's that goes on until the desk is left."""
        process = subprocess.Popen(
            [*NOBURN, *arguments], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip
        self._started.append(process)
        return process

    def dashboard(self, *options: str, opens: bool = False) -> Served:
        quiet = () if opens else ("--no-open",)
        return Served(self.start("dashboard", *quiet, "--port", "0", *options))


class Served:
    """A dashboard that is being served."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.told = process.stdout.readline()
        self.address = process.stdout.readline().strip()
        assert "?token=" in self.address, process.communicate()
        self.base, _, self.token = self.address.partition("/?token=")
        self.host = self.base.removeprefix("http://")

    def ask(
        self, path: str, headers: Mapping[str, str] | None = None, body: object = None
    ) -> tuple[int, Mapping[str, str], str]:
        """Status, headers and text of one request, sent with exactly these headers besides Host."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, headers=dict(headers or {}))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def cookie(self) -> str:
        """The session's cookie, as a browser would send it."""
        _, headers, _ = self.ask(f"/?token={self.token}")
        return headers["Set-Cookie"].partition(";")[0]

    def data(self, path: str) -> Any:
        status, _, text = self.ask(path, {"Authorization": f"Bearer {self.token}"})
        assert status == 200, text
        return json.loads(text)["data"]

    def end(self) -> tuple[int, str, str]:
        """Ctrl-C; its code, and what it had said since."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def reserve_frame(call: str, attributes: Mapping[str, str]) -> dict[str, Any]:
    """A reserve of 1,217 input tokens at most, as docs/protocol.md has it."""
    return {
        "call": call, "api": "openai_chat", "model": "gpt-6-luna", "attrs": dict(attributes),
        "input": {"bytes": 1200, "expanded": 1200, "overhead": 17, "tokens": 0, "window": False,
                  "counted": None},
        "input_kinds": ["input", "cache_read"], "variants": ["standard"],
        "output": {"wanted": 100, "floor": 16, "choices": 1, "clamp": True},
        "wait_ms": 0, "texts": None, "refined": True,
    }  # fmt: skip
