"""Start workers at once and wait: fleet.py PROCESSES KIND THREADS CALLS LOGDIR."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")


def main() -> None:
    processes, kind, threads, calls, log_folder = sys.argv[1:6]
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), kind, threads, calls, f"{log_folder}/{number}.jsonl"]
        )
        for number in range(int(processes))
    ]
    (Path(log_folder) / "pids").write_text(" ".join(str(worker.pid) for worker in workers))
    for worker in workers:
        worker.wait()


if __name__ == "__main__":
    main()
