"""Endings that wait: no line is lost, whoever writes and replays at the same time."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from noburn_cli.client import Client, journal
from noburn_cli.client.connection import Connection
from noburn_cli.client.opening import Opener
from noburn_cli.client.retry import Lost
from tests.client.peer import HANG_UP, Frame, Peer, grant


def void(call: str) -> Frame:
    return {"op": "void", "call": call}


def open_plain(home: Path) -> Connection:
    return Opener(home, start_daemon=False).open_quickly(within_s=10)


def test_a_file_is_its_owners_alone(home: Path) -> None:
    journal.append(home / "journal", void("c1"))
    (file,) = (home / "journal").iterdir()
    assert file.name.startswith(f"{os.getpid()}-")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("error", ["conflict", "closed", "not_found"])
def test_what_will_never_be_booked_counts_as_answered(home: Path, peer: Peer, error: str) -> None:
    journal.append(home / "journal", void("c1"))
    peer.script = lambda frame: {"ok": False, "error": error}
    assert journal.replay(home / "journal", open_plain(home)) == 1
    assert list((home / "journal").iterdir()) == []


@pytest.mark.parametrize("error", ["unknown", "ledger", "draining"])
def test_what_may_be_booked_later_stays(home: Path, peer: Peer, error: str) -> None:
    for call in ("c1", "c2"):
        journal.append(home / "journal", void(call))
    peer.script = lambda f: grant(f) if f["call"] == "c1" else {"ok": False, "error": error}
    assert journal.replay(home / "journal", open_plain(home)) == 1
    peer.script = grant
    assert journal.replay(home / "journal", open_plain(home)) == 2
    assert [f["call"] for f in peer.seen] == ["c1", "c2", "c1", "c2"]


def test_a_connection_lost_in_the_middle_loses_no_line_and_no_order(home: Path, peer: Peer) -> None:
    for call in ("c1", "c2"):
        journal.append(home / "journal", void(call))
    peer.script = lambda frame: HANG_UP
    with pytest.raises(Lost):
        journal.replay(home / "journal", open_plain(home))
    journal.append(home / "journal", void("c3"))
    peer.seen.clear()
    peer.script = grant
    assert journal.replay(home / "journal", open_plain(home)) == 3
    assert [f["call"] for f in peer.seen] == ["c1", "c2", "c3"]


def test_what_no_daemon_takes_is_put_aside_for_a_person(home: Path, peer: Peer) -> None:
    journal.append(home / "journal", void("c1"))
    journal.append(home / "journal", void("bad"))
    (file,) = (home / "journal").iterdir()
    with file.open("a") as stream:
        stream.write("half a li")
    peer.script = lambda f: {"ok": False, "error": "bad_frame"} if f["call"] == "bad" else grant(f)
    assert journal.replay(home / "journal", open_plain(home)) == 1
    (left,) = (home / "journal").iterdir()
    assert left.suffix == ".bad"
    assert sorted(left.read_text().splitlines()) == ["half a li", '{"op":"void","call":"bad"}']
    assert journal.replay(home / "journal", open_plain(home)) == 0


def test_a_file_that_another_replays_is_left_to_it(home: Path, peer: Peer) -> None:
    journal.append(home / "journal", void("c1"))
    (file,) = (home / "journal").iterdir()
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert journal.replay(home / "journal", open_plain(home)) == 0
        journal.append(home / "journal", void("c2"))  # Nor does the owner wait for it.
    assert journal.replay(home / "journal", open_plain(home)) == 2


def test_no_line_is_lost_while_files_are_taken_away(home: Path, peer: Peer) -> None:
    """Goal: what was appended was delivered, with two writers and two replayers at once."""
    writing = (
        "import sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path\n"
        "from noburn_cli.client import journal\n"
        "for i in range(300):\n"
        "    journal.append(Path(sys.argv[1]), {'op': 'void', 'call': f'{sys.argv[2]}-{i}'})\n"
    )
    folder = str(home / "journal")
    writers = [subprocess.Popen([sys.executable, "-c", writing, folder, w]) for w in "ab"]
    ended = threading.Event()

    def replay() -> None:
        connection = open_plain(home)
        while not ended.wait(0.002):
            journal.replay(home / "journal", connection)

    replayers = [threading.Thread(target=replay) for _ in range(2)]
    for thread in replayers:
        thread.start()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    ended.set()
    for thread in replayers:
        thread.join()
    with Client(home) as client:
        client.status()
    delivered = {frame["call"] for frame in peer.seen if frame["op"] == "void"}
    assert delivered == {f"{writer}-{i}" for writer in "ab" for i in range(300)}
    assert list((home / "journal").iterdir()) == []


def test_a_disk_that_is_full_in_the_middle_of_a_line_spoils_no_other(home: Path) -> None:
    """Half a line would join the next one, and both would be lost."""
    journal.append(home / "journal", void("c1"))
    (file,) = (home / "journal").iterdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 5, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            journal.append(home / "journal", void("c2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append(home / "journal", void("c3"))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["call"] for line in lines] == ["c1", "c3"]
