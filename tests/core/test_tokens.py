"""Exact counts: the ids of the tokenisers that the ranks come from, without a download."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest
import tiktoken
import tiktoken_ext.openai_public

from noburn_cli import ranks, resources
from noburn_cli.core import bounds, token_recipes, tokens
from noburn_cli.core.models import TOKENIZERS
from tests.corpus.random_texts import random_texts

CORPUS = Path(__file__).parent.parent / "corpus"

#: What the reference tokenisers say, recorded by tools/check_tokenizers.py.
RECORDED = json.loads((CORPUS / "tokens_reference.json").read_text(encoding="ascii"))
RECORDED_RANDOM = 2000
TEXTS: dict[str, str] = json.loads((CORPUS / "tokens_texts.json").read_text(encoding="utf-8"))
HOSTILE: list[str] = json.loads((CORPUS / "hostile.json").read_text(encoding="utf-8"))
TEXTS["scripts"] = (CORPUS / "scripts.txt").read_text(encoding="utf-8")
TEXTS["hostile"] = re.sub("[\ud800-\udfff]", "\ufffd", "\n".join(HOSTILE))
EVERY = (*token_recipes.RECIPES, *token_recipes.SAME_RANKS)
#: Ids published with tiktoken and its README: what any correct build of the ranks gives.
KNOWN = {
    "o200k_base": {"hello world": [24912, 2375], "is great!": [276, 2212, 0]},
    "cl100k_base": {"hello world": [15339, 1917], "is great!": [285, 2294, 0]},
}


def countable(name: str) -> str:
    """The name, where its ranks are installed: always on CI, whose packages hold them all."""
    if not ranks.can_count(name) and not os.environ.get("CI"):
        pytest.skip(f"{name} needs {ranks.EXTRA}")
    return name


def ids_of(name: str, text: str) -> list[int]:
    recipe = token_recipes.RECIPES[token_recipes.SAME_RANKS.get(name, name)]
    return ranks.encoding(name).encode_ordinary(tokens.composed(text) if recipe.composes else text)


def digest(lists: list[list[int]]) -> str:
    lines = (" ".join(map(str, ids)) + "\n" for ids in lists)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("name", EVERY)
def test_ids_are_those_of_the_reference(name: str) -> None:
    """Goal: for each encoding, prose, code, JSON, Chinese, Arabic, emoji, base64, white space,
    hostile and random texts have the very ids that the reference tokeniser gave."""
    theirs = RECORDED[countable(name)]
    assert set(theirs["kinds"]) == set(TEXTS)
    for kind, text in TEXTS.items():
        ids = ids_of(name, text)
        assert (kind, len(ids)) == (kind, theirs["kinds"][kind]["tokens"])
        assert digest([ids]) == theirs["kinds"][kind]["ids_sha256"], kind
        assert ranks.count(name, text) == len(ids)
    found = [ids_of(name, text) for text in random_texts(RECORDED_RANDOM)]
    assert digest(found) == theirs["random_sha256"]


def test_the_recorded_digest_sees_one_wrong_id() -> None:
    """Goal: the comparison can fail, in the ids as well as in their number."""
    ids = ids_of("tekken", TEXTS["prose"])
    wanted = RECORDED["tekken"]["kinds"]["prose"]["ids_sha256"]
    assert digest([ids]) == wanted != digest([[*ids[:-1], ids[-1] + 1]])
    assert ids_of("o200k_base", TEXTS["prose"]) != ids


@pytest.mark.parametrize("name", EVERY)
def test_no_text_has_more_tokens_than_its_bound(name: str) -> None:
    """Goal: the bound without a tokeniser holds for every family, on the strings that break one."""
    countable(name)
    for text in (*HOSTILE, *TEXTS.values(), *random_texts(400)):
        measured = bounds.measure([text], "", overhead_tokens=0, counted_tokens=0, window=False)
        around = bounds.overhead_max(name, 0)
        bound = bounds.input_bound(measured, tokenizer=name, context_window=10**9)
        assert ranks.count(name, text) <= bound.tokens - around


def test_bytes_alone_would_not_bound_a_tokeniser_that_composes() -> None:
    """Goal: U+1D160, of which three characters come out, shows why Qwen is bounded as it is."""
    text = "\U0001d160" * 8
    assert ranks.count(countable("qwen2"), text) > len(text.encode())


def test_every_name_of_the_price_book_says_how_it_is_counted() -> None:
    assert set(EVERY) == set(TOKENIZERS) - {"claude", "gemini", "bytes", "unknown"}
    assert set(ranks.NAMES) < set(EVERY)
    assert bounds.TEMPLATED | bounds.BYTE_TOKENIZERS | {"claude", "unknown"} == set(TOKENIZERS)


def test_the_page_says_of_each_encoding_where_its_ranks_are() -> None:
    """Goal: docs/tokens.md names every tokenizer, what ships, and what it was compared with."""
    page = (CORPUS.parent.parent / "docs" / "tokens.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*?\| ([^|]*\|[^|]*) \|$", page, re.M))
    assert set(rows) == set(TOKENIZERS)
    for name in EVERY:
        where = "ships" if name in (*ranks.NAMES, *token_recipes.SAME_RANKS) else "extra"
        assert rows[name].startswith(where), name
        assert RECORDED[name]["reference"] in rows[name], name


@pytest.mark.parametrize("name", KNOWN)
def test_ids_are_tiktokens(name: str) -> None:
    """Goal: what we count is what the provider bills."""
    encoding = ranks.encoding(name)
    for text, ids in KNOWN[name].items():
        assert encoding.encode_ordinary(text) == ids
    text = (CORPUS / "scripts.txt").read_text(encoding="utf-8")
    assert encoding.decode(encoding.encode_ordinary(text)) == text


@pytest.mark.parametrize("name", [*KNOWN, "o200k_harmony"])
def test_recipe_is_the_installed_tiktokens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: pattern, special tokens and the rank file's digest follow the installed tiktoken."""
    wanted: dict[str, str] = {}
    recipe = token_recipes.RECIPES[token_recipes.SAME_RANKS.get(name, name)]
    table = tokens.ranks_of(
        token_recipes.SAME_RANKS.get(name, name), resources.read_bytes(recipe.file)
    )

    def load(url: str, expected_hash: str) -> dict[bytes, int]:
        wanted[url] = expected_hash
        return table

    monkeypatch.setattr(tiktoken_ext.openai_public, "load_tiktoken_bpe", load)
    facts = tiktoken_ext.openai_public.ENCODING_CONSTRUCTORS[name]()
    assert recipe.pattern == facts["pat_str"]
    if name in KNOWN:
        assert dict(recipe.special_tokens) == facts["special_tokens"]
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
        tokens.encoding_from_file("cl100k_base", bytes(packed))


def test_a_package_without_the_file_that_noburn_knows_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: no extra, or one with another vocabulary: not counted, and so never called exact."""
    package = tmp_path / "llama_models"
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "llama_models", raising=False)
    ranks.can_count.cache_clear()
    try:
        assert ranks.is_missing("llama3")
        (package / "llama3").mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "llama3" / "tokenizer.model").write_bytes(b"wA== 0\n")
        ranks.can_count.cache_clear()
        assert not ranks.can_count("llama3")
        assert not ranks.can_count("bytes")
        assert not ranks.is_missing("bytes")
    finally:
        ranks.can_count.cache_clear()


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
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert ast.literal_eval(done.stdout) == [2, 2, 2, 2]
    assert not (tmp_path / "none").exists()
