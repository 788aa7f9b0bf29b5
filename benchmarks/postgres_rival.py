"""PostgreSQL with the same rules in one function: one prepared call of it an operation.

A server of our own in a fresh folder, reached by its Unix socket only.  The five budgets' rows are
locked in order, as the rules need; so calls queue there, as they would in any schema that keeps
balances in rows.  `synchronous_commit = off` answers before the log is written, and so may lose the
last moments already when the server's process is killed: less than ours in the same class.
"""

from __future__ import annotations

import os
import pwd
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.load import Wire, names
from benchmarks.rivals import BUDGETS, COST, HOLD, LIMIT

SCHEMA = f"""
CREATE TABLE budgets (id int PRIMARY KEY, limit_nano bigint, settled bigint, held bigint)
  WITH (fillfactor = 10);
INSERT INTO budgets SELECT n, {LIMIT}, 0, 0 FROM generate_series(0, {BUDGETS - 1}) AS n;
CREATE TABLE holds (call text PRIMARY KEY, hold bigint, cost bigint);
CREATE TABLE journal (
  seq bigserial PRIMARY KEY, at timestamptz DEFAULT now(), kind text, call text, amount bigint);

CREATE FUNCTION reserve(id text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE fits boolean;
BEGIN
  PERFORM 1 FROM budgets ORDER BY budgets.id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM holds WHERE call = reserve.id) THEN RETURN true; END IF;
  SELECT bool_and(settled + held + {HOLD} <= limit_nano) INTO fits FROM budgets;
  IF NOT fits THEN RETURN false; END IF;
  UPDATE budgets SET held = held + {HOLD};
  INSERT INTO holds VALUES (reserve.id, {HOLD}, NULL);
  INSERT INTO journal (kind, call, amount) VALUES ('reserve', reserve.id, {HOLD});
  RETURN true;
END $$;

CREATE FUNCTION settle(id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM budgets ORDER BY budgets.id FOR UPDATE;
  UPDATE holds SET cost = {COST} WHERE call = settle.id AND cost IS NULL;
  IF FOUND THEN
    UPDATE budgets SET held = held - {HOLD}, settled = settled + {COST};
    INSERT INTO journal (kind, call, amount) VALUES ('settle', settle.id, {COST});
  END IF;
  RETURN true;
END $$;
"""
_OPTIONS = (
    "-c listen_addresses='' -c max_connections=400 -c shared_buffers=256MB -c max_wal_size=4GB "
    "-c checkpoint_timeout=30min -c synchronous_commit={commit} -k {folder}"
)
PORT = 5432


def programs() -> Path | None:
    """The folder of initdb and pg_ctl, the newest; Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


def start(folder: Path, commit: str) -> tuple[Callable[[], None], str]:
    """A server with synchronous_commit `commit`: what stops it, and its socket.

    PostgreSQL does not run as root: then the folder and the server are the user postgres's.
    """
    where = programs()
    assert where is not None
    home = folder / f"postgres-{commit}"
    home.mkdir(mode=0o700)
    prefix: list[str] = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(home, user.pw_uid, user.pw_gid)
        prefix = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    data, log = str(home / "data"), str(home / "log")

    def run(program: str, *arguments: str, **more: object) -> None:
        subprocess.run(
            [*prefix, str(where / program), *arguments], check=True, cwd=home,
            stdout=subprocess.DEVNULL, **more,  # type: ignore[call-overload]
        )  # fmt: skip

    run("initdb", "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8", "--no-sync")
    options = _OPTIONS.format(commit=commit, folder=home)
    run("pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start")
    run("psql", "-q", "-h", str(home), "-U", "bench", "-d", "postgres", input=SCHEMA.encode())

    def stop() -> None:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")

    return stop, str(home / f".s.PGSQL.{PORT}")


# The protocol, version 3: https://www.postgresql.org/docs/15/protocol-message-formats.html


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _hello() -> bytes:
    """Start up (no password is asked for), and prepare both statements."""
    start_up = struct.pack("!i", 196608) + b"user\0bench\0database\0postgres\0\0"
    prepare = b"".join(
        _message(b"P", b"%s\0SELECT %s($1)\0" % (name, name) + struct.pack("!hi", 1, 25))
        for name in (b"reserve", b"settle")
    )
    return _message(b"", start_up) + prepare + _message(b"S", b"")


def _calls(caller: int) -> Callable[[int], bytes]:
    name_of = names()
    after = struct.pack("!h", 0)
    run = _message(b"E", b"\0" + struct.pack("!i", 0)) + _message(b"S", b"")

    def call(number: int) -> bytes:
        name = name_of(caller, number)
        statement = b"\0settle\0" if number % 2 else b"\0reserve\0"
        bound = statement + struct.pack("!hhi", 0, 1, len(name)) + name + after
        return _message(b"B", bound) + run

    return call


#: A whole reply ends with ReadyForQuery; a good one has a row of one column, `t`.
POSTGRES = Wire(
    _calls, end=b"Z\0\0\0\5I", wanted=struct.pack("!hi", 1, 1) + b"t", hello=_hello(), hellos=2
)
