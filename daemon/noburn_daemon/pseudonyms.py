"""One value of one attribute, and how it is replaced wherever a text says it.

Layer: daemon, pure.  Below: core.budgets.  Above: forgetting.
Owns: what counts as saying the value.  In attributes, account keys and scopes it is the value of
that very key and no other; in sentences and commands it is the word, standing alone.

Attributes of other keys that have the same value are somebody else.
"""

from __future__ import annotations

import json
import re
from typing import Any

from noburn_cli.core.budgets import ATTRIBUTES, TAG_PREFIX

#: A shorter word, or a number, stands in sentences for many things: only `key=value` is replaced.
_WORD_CHARS_MIN = 3
#: What the ledger's own words stand under, and the models' names: a customer may be called so, too.
_OWN_WORDS = frozenset((
    "action", "api", "channel", "channels", "downgrade", "kind", "model", "notify", "per",
    "provider", "rates", "unit", "zone",
))  # fmt: skip
_PATHS = ("run", "step")
_PLAIN_STRETCH = re.compile(r'[^\\",/\x00-\x1f]+')


class Pseudonym:
    """`stand_in` in the place of one value of attribute `key`."""

    def __init__(self, key: str, value: str, stand_in: str) -> None:
        self.key = key
        self.value = value
        self.stand_in = stand_in
        #: A stretch that every text has which says the value, however it is escaped.
        self.needle = max(_PLAIN_STRETCH.findall(value) or [""], key=len)
        self._is_word = len(value) >= _WORD_CHARS_MIN and any(map(str.isalpha, value))
        escaped = value.replace("\\", "\\\\").replace(",", "\\,")  # as core.budgets writes scopes
        spelled = "|".join(dict.fromkeys((re.escape(escaped), re.escape(value))))
        # `acme` is not said by `acme-x`, `acme.com` or `x@acme`.
        self._said = re.compile(
            rf"(?:(?<![\w.-])(?P<key>[\w.-]+)=)?(?<![\w@-])(?<!\w\.)(?:{spelled})(?![\w@-]|\.\w)"
        )

    def in_text(self, text: str) -> str:
        """A text of any kind: JSON is changed where it says the value, all else as a sentence."""
        if text[:1] in ("{", "["):
            try:
                said = json.loads(text)
            except ValueError:
                return self._in_sentence(text)
            changed = self._in_json(said)
            return text if changed == said else _dump(changed)
        return self._in_sentence(text)

    def in_column(self, name: str, text: str) -> str:
        """A cell of one of the snapshot's tables."""
        if name == "run":
            return self.in_path(text)
        return text if name in _OWN_WORDS or name == "owner" else self.in_text(text)

    def in_attributes(self, text: str) -> str:
        """The attributes of a call, as JSON."""
        said = json.loads(text)
        value = said.get(self.key)
        if not isinstance(value, str):
            return text
        changed = self._value(value)
        return text if changed == value else _dump({**said, self.key: changed})

    def in_path(self, path: str) -> str:
        """The path of a run; only where it is a run that is forgotten."""
        return self._value(path) if self.key == "run" else path

    def _value(self, value: str) -> str:
        """The attribute's own value; of a path, the parts that are it."""
        if self.key not in _PATHS:
            return self.stand_in if value == self.value else value
        parts = value.split("/")
        return "/".join(self.stand_in if part == self.value else part for part in parts)

    def _in_json(self, said: Any) -> Any:
        if isinstance(said, str):
            return self.in_text(said)  # which may be JSON again
        if isinstance(said, list):
            if len(said) == 2 and isinstance(said[0], str) and _is_key(said[0]):  # of an account
                return [said[0], self._of_key(said[0], said[1])]
            return [self._in_json(one) for one in said]
        if isinstance(said, dict):
            return {self._in_sentence(key): self._of_key(key, value) for key, value in said.items()}
        return said

    def _of_key(self, key: str, value: Any) -> Any:
        if isinstance(value, str) and _is_key(key):
            return self._value(value) if key == self.key else value
        return value if key in _OWN_WORDS else self._in_json(value)

    def _in_sentence(self, text: str) -> str:
        return self._said.sub(self._replaced, text)

    def _replaced(self, match: re.Match[str]) -> str:
        key = match["key"]
        if key is None:
            return self.stand_in if self._is_word else match[0]
        plain = key.lstrip("-")
        if plain != self.key and _is_key(plain):
            return match[0]
        return f"{key}={self.stand_in}"


def _is_key(key: str) -> bool:
    return key in ATTRIBUTES or key.startswith(TAG_PREFIX)


def _dump(said: Any) -> str:
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)
