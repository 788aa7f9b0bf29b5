"""Redis with the same rules in a Lua script: one EVALSHA an operation, append-only file.

`everysec` survives the end of its process, as the file is written before replies leave, and may
lose a second or two with the power; `always` also calls fsync before them
(https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/).  Lua's numbers are
doubles, so that amounts above 2**53 would not be exact.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.load import Wire, names
from benchmarks.rivals import BUDGETS, COST, HOLD, LIMIT

#: KEYS[1]: the hold.  ARGV: the operation, the call's id, the amount.
SCRIPT = f"""
local hold = redis.call('HMGET', KEYS[1], 'hold', 'cost')
local amount = tonumber(ARGV[3])
if ARGV[1] == 'reserve' then
  if hold[1] then return 1 end
  for i = 0, {BUDGETS - 1} do
    local b = redis.call('HMGET', 'budget:' .. i, 'settled', 'held')
    if (tonumber(b[1]) or 0) + (tonumber(b[2]) or 0) + amount > {LIMIT} then return 0 end
  end
  for i = 0, {BUDGETS - 1} do redis.call('HINCRBY', 'budget:' .. i, 'held', ARGV[3]) end
  redis.call('HSET', KEYS[1], 'hold', ARGV[3])
else
  if not hold[1] then return 0 end
  if hold[2] then return 1 end
  for i = 0, {BUDGETS - 1} do
    redis.call('HINCRBY', 'budget:' .. i, 'held', '-' .. hold[1])
    redis.call('HINCRBY', 'budget:' .. i, 'settled', ARGV[3])
  end
  redis.call('HSET', KEYS[1], 'cost', ARGV[3])
end
redis.call('XADD', 'journal', '*', 'kind', ARGV[1], 'call', ARGV[2], 'amount', ARGV[3])
return 1
"""
_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()


def is_installed() -> bool:
    return shutil.which("redis-server") is not None


def start(folder: Path, appendfsync: str) -> tuple[subprocess.Popen[bytes], str]:
    """A server of our own in `folder`: the process, and its socket."""
    home = folder / f"redis-{appendfsync}"
    home.mkdir()
    path = str(home / "redis.sock")
    process = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", path, "--dir", str(home),
         "--appendonly", "yes", "--appendfsync", appendfsync, "--save", "",
         "--loglevel", "warning", "--maxclients", "2000"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return process, path


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def _commands(caller: int) -> Callable[[int], bytes]:
    name_of = names()
    amounts = (b"%d" % HOLD, b"%d" % COST)

    def command(number: int) -> bytes:
        name = name_of(caller, number)
        kind = b"settle" if number % 2 else b"reserve"
        return _command(b"EVALSHA", _SHA, b"1", b"hold:" + name, kind, name, amounts[number % 2])

    return command


REDIS = Wire(
    _commands, end=b"\r\n", wanted=b":1\r\n",
    hello=_command(b"SCRIPT", b"LOAD", SCRIPT.encode()), hellos=2,  # a length, and the digest
)  # fmt: skip
