"""Exact counts: tiktoken's ids without tiktoken's downloads."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest
import tiktoken
import tiktoken_ext.openai_public

from noburn_cli import ranks, resources
from noburn_cli.core import tokens

CORPUS = Path(__file__).parent.parent / "corpus"

#: Ids published with tiktoken and its README: what any correct build of the ranks gives.
KNOWN = {
    "o200k_base": {"hello world": [24912, 2375], "is great!": [276, 2212, 0]},
    "cl100k_base": {"hello world": [15339, 1917], "is great!": [285, 2294, 0]},
}


@pytest.mark.parametrize("name", ranks.NAMES)
def test_ids_are_tiktokens(name: str) -> None:
    """Goal: what we count is what the provider bills."""
    encoding = ranks.encoding(name)
    for text, ids in KNOWN[name].items():
        assert encoding.encode_ordinary(text) == ids
    text = (CORPUS / "scripts.txt").read_text(encoding="utf-8")
    assert encoding.decode(encoding.encode_ordinary(text)) == text


@pytest.mark.parametrize("name", ranks.NAMES)
def test_recipe_is_the_installed_tiktokens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: pattern, special tokens and the rank file's digest follow the installed tiktoken."""
    wanted: dict[str, str] = {}
    packed = resources.read_bytes(f"{name}.ranks.zlib")
    table = tokens._ranks(name, packed, tokens.RECIPES[name].ranks)

    def load(url: str, expected_hash: str) -> dict[bytes, int]:
        wanted[url] = expected_hash
        return table

    monkeypatch.setattr(tiktoken_ext.openai_public, "load_tiktoken_bpe", load)
    facts = tiktoken_ext.openai_public.ENCODING_CONSTRUCTORS[name]()
    assert tokens.RECIPES[name].pattern == facts["pat_str"]
    assert dict(tokens.RECIPES[name].special_tokens) == facts["special_tokens"]
    assert hashlib.sha256(_plain_ranks(table)).hexdigest() in wanted.values()


def _plain_ranks(table: dict[bytes, int]) -> bytes:
    """tiktoken's own file, rebuilt: base64 of the token and its id, a line each."""
    import base64

    lines = [base64.b64encode(token) + b" " + str(rank).encode() for token, rank in table.items()]
    return b"\n".join(lines) + b"\n"


def test_special_tokens_in_a_text_are_text() -> None:
    assert ranks.count("o200k_base", "<|endoftext|>") > 1


def test_lone_surrogates_count_as_the_replacement_character() -> None:
    assert ranks.count("o200k_base", "a\ud800b") == ranks.count("o200k_base", "a\ufffdb")


@pytest.mark.parametrize("unit", ["a", " ", "=", "\n", "中", "a1", " \n"])
@pytest.mark.parametrize("name", ranks.NAMES)
def test_long_runs_of_one_class_are_counted(name: str, unit: str) -> None:
    """Goal: no input makes the regular expression or the merge loop give up."""
    text = unit * (200_000 // len(unit))
    assert 0 < ranks.count(name, text) <= len(text.encode())


def test_changed_ranks_are_refused() -> None:
    packed = bytearray(resources.read_bytes("cl100k_base.ranks.zlib"))
    packed[-1] ^= 1
    with pytest.raises(tokens.RanksDamaged, match="cl100k_base"):
        tokens.encoding_from_packed("cl100k_base", bytes(packed))


def test_threads_share_one_load() -> None:
    barrier = Barrier(4)
    found: list[tiktoken.Encoding] = []

    def load() -> None:
        barrier.wait()
        found.append(ranks.encoding("cl100k_base"))

    threads = [Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1


_OFFLINE = """
import socket
def refuse(*a, **k): raise OSError("no network here")
if {block}: socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
try:
    socket.create_connection(("192.0.2.1", 9), timeout=0.2)
except OSError:
    pass
else:
    raise SystemExit("there is a network: the test proves nothing")
from noburn_cli import ranks
print([ranks.count(name, "hello world") for name in ranks.NAMES])
"""


def test_first_use_without_network(tmp_path: Path) -> None:
    """Goal: a fresh machine without network and without any cache counts exactly."""
    isolated = ["unshare", "-rn"]
    try:
        allowed = (
            subprocess.run([*isolated, "true"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        allowed = False
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "TIKTOKEN_CACHE_DIR": str(tmp_path / "none"),
        "PYTHONPATH": str(Path(__file__).parent.parent.parent),
    }
    command = [sys.executable, "-c", _OFFLINE.format(block=not allowed)]
    done = subprocess.run(
        [*(isolated if allowed else []), *command],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert ast.literal_eval(done.stdout) == [2, 2]
    assert not (tmp_path / "none").exists()
