"""The process behind tests/warm.py: has everything imported, and forks for each command.

A request is JSON with the arguments, the environment and the folder, and four descriptors: standard
input, output and error, and where the child's pid and then its exit code are told, a line each.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import random
import signal
import socket
import sys
import threading
import time
from typing import Any

import noburn_cli.commands
from noburn_cli import ranks
from noburn_cli.main import main

_MODULES = (
    *("apsw", "msgspec", "msgspec.json", "tiktoken", "rich.console", "rich.table", "tomllib"),
    *("rich.progress", "rich.live", "zoneinfo", "noburn_cli.estimating", "noburn_cli.client"),
)


def load() -> None:
    """Import what commands import, and the encoding that most models have."""
    for name in _MODULES:
        importlib.import_module(name)
    for found in pkgutil.walk_packages(noburn_cli.commands.__path__, "noburn_cli.commands."):
        importlib.import_module(found.name)
    ranks.encoding("o200k_base")
    gc.collect()
    gc.freeze()


def serve(requests: socket.socket) -> None:
    """Fork for each request until the tests have ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for those in the middle.
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 4)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _watch(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _watch(request: dict[str, Any], descriptors: list[int]) -> None:
    """Fork once more, and tell how the command ended; never returns."""
    *streams, status = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(status)
        _become(request, streams)
    for stream in streams:
        os.close(stream)
    os.write(status, b"%d\n" % pid)
    _, ended = os.waitpid(pid, 0)
    os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
    os._exit(0)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Be the command; never returns."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    random.seed()
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.argv = ["noburn", *request["arguments"]]
    gc.enable()
    code = main(request["arguments"])
    threading._shutdown()  # type: ignore[attr-defined]
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    load()
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
