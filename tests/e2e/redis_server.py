"""A real Redis for job queues: a process of its own on a Unix socket, gone with the test."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def redis_server() -> Iterator[Path]:
    """Yield the path of the socket of a server that answers."""
    program = shutil.which("redis-server")
    assert program, "redis-server is needed: run scripts/setup-system"
    # A short path: a socket's has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="nb") as folder:
        path = Path(folder) / "redis"
        kept = ["--save", "", "--appendonly", "no", "--dir", folder]
        command = [
            program,
            "--port",
            "0",
            "--loglevel",
            "warning",
            "--unixsocket",
            str(path),
            *kept,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                _until_it_answers(server, path)
                yield path
            finally:
                server.kill()
                server.communicate()


def _until_it_answers(server: subprocess.Popen[str], path: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.connect(str(path))
            return
        assert server.poll() is None, server.communicate()[0]
        assert time.monotonic() < deadline, "redis-server does not answer"
        time.sleep(0.02)
