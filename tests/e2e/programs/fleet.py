"""Start workers at once and wait: fleet.py PROCESSES KIND THREADS CALLS LOGDIR.

The first is a process that was started, the others are forks of one that has the SDK imported, as a
server that preloads its program makes them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import worker


def main() -> None:
    processes, kind, threads, calls, log_folder = sys.argv[1:6]
    worker.load(kind)
    logs = [f"{log_folder}/{number}.jsonl" for number in range(int(processes))]
    command = [sys.executable, worker.__file__, kind, threads, calls, logs[0]]
    started = subprocess.Popen(command)
    forked = [fork(kind, int(threads), int(calls), log) for log in logs[1:]]
    (Path(log_folder) / "pids").write_text(" ".join(map(str, [*forked, started.pid])))
    started.wait()
    for pid in forked:
        os.waitpid(pid, 0)


def fork(kind: str, threads: int, calls: int, log: str) -> int:
    pid = os.fork()
    if pid == 0:
        worker.work(kind, threads, calls, log)
        os._exit(0)
    return pid


if __name__ == "__main__":
    main()
