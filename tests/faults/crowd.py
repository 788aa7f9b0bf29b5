"""Opens N connections to the socket of HOME, says hello, and holds them until its stdin ends.

Run as `python crowd.py HOME N`; prints how many were greeted and how many were turned away.
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import sys

HELLO = b'{"n":1,"op":"hello","v":1,"client":"crowd"}\n'


def main(home: str, count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kept, greeted = [], 0
    for _ in range(count):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(90)
        kept.append(peer)
        with contextlib.suppress(ConnectionError, ValueError):
            peer.connect(f"{home}/daemon.sock")
            peer.sendall(HELLO)
            greeted += bool(json.loads(peer.recv(65_536).split(b"\n")[0])["ok"])
    print(greeted, count - greeted, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
