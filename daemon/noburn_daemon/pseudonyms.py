"""One value of one attribute, and how it is replaced wherever a text says it.

Layer: daemon, pure.  Below: core.budgets and other words of noburn's own.  Above: forgetting.
Owns: what counts as saying the value.  In attributes, account keys and scopes it is the value of
that very key and no other; in sentences and commands it is the word, standing alone; in every other
field only `key=value` is.  Keys of JSON are noburn's own and never changed.

Attributes of other keys that have the same value are somebody else.  A name that is one of noburn's
own words (`budget`, `day`, `block`) is no word of its own in a sentence: only `key=value` is it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from noburn_cli.core.actions import ACTIONS
from noburn_cli.core.budgets import ATTRIBUTES, TAG_PREFIX, Scope, parse_scope
from noburn_cli.core.holds import HoldState
from noburn_cli.core.windows import WINDOWS
from noburn_cli.errors import UsageError
from noburn_daemon import schema
from noburn_daemon.account import UNITS

#: A shorter word, or a number, stands in sentences for many things: only `key=value` is replaced.
_WORD_CHARS_MIN = 3
#: Words that noburn's own sentences are made of.
_VOCABULARY = frozenset((
    *ACTIONS, *ATTRIBUTES, *UNITS, *WINDOWS, *schema.KINDS, *(state.value for state in HoldState),
    "account", "budget", "budgets", "call", "calls", "global", "key", "left", "ledger", "limit",
    "message", "model", "next", "note", "per", "price", "provider", "reason", "scope", "seal",
    "spent", "tag", "unit", "window",
))  # fmt: skip
#: Fields that hold sentences, or other free text, in which a name may stand as a word.
_SENTENCES = frozenset(("by", "command", "message", "next_step", "note", "reason", "source"))
#: Fields that hold a sentence or one of noburn's own words.
_SENTENCES_OR_WORDS = frozenset(("failure", "why"))
#: Fields that hold what budgets or accounts are called.
_NAMES = frozenset(("account", "billed", "budget", "budgets", "passed", "warned"))
#: What the ledger's own words stand under, and the models' names: a customer may be called so, too.
_OWN_WORDS = frozenset((
    "action", "api", "channel", "channels", "downgrade", "kind", "model", "notify", "per",
    "provider", "rates", "seal", "unit", "zone",
))  # fmt: skip
_PATHS = ("run", "step")
_Change: TypeAlias = Callable[[str], str]
_PLAIN_STRETCH = re.compile(r'[^\\",/\x00-\x1f]+')


class Pseudonym:
    """`stand_in` in the place of one value of attribute `key`."""

    def __init__(self, key: str, value: str, stand_in: str) -> None:
        self.key = key
        self.value = value
        self.stand_in = stand_in
        #: A stretch that every text has which says the value, however it is escaped.
        self.needle = max(_PLAIN_STRETCH.findall(value) or [""], key=len)
        self._is_word = (
            len(value) >= _WORD_CHARS_MIN
            and any(map(str.isalpha, value))
            and value.lower() not in _VOCABULARY
        )
        escaped = value.replace("\\", "\\\\").replace(",", "\\,")  # as core.budgets writes scopes
        spelled = "|".join(dict.fromkeys((re.escape(escaped), re.escape(value))))
        # `acme` is not said by `acme-x`, `acme.com` or `x@acme`.
        self._said = re.compile(
            rf"(?:(?<![\w.-])(?P<key>[\w.-]+)=)?(?<![\w@-])(?<!\w\.)(?:{spelled})(?![\w@-]|\.\w)"
        )

    def in_detail(self, kind: str, text: str) -> str:
        """The detail of a row of the journal; what clients note of a run is free text."""
        return self._in_text(text, self._in_sentence if kind == "run_note" else self._in_value)

    def in_column(self, name: str, text: str) -> str:
        """A cell of the journal or of one of the snapshot's tables."""
        if name == "run":
            return self.in_path(text)
        if name in _OWN_WORDS or name == "owner":
            return text
        return self._in_text(text, self._of_field(name, self._in_value))

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

    def _in_text(self, text: str, change: _Change) -> str:
        """JSON is changed where it says the value, all else as `change` does."""
        if text[:1] in ("{", "["):
            try:
                said = json.loads(text)
            except ValueError:
                return change(text)
            changed = self._in_json(said, change)
            return text if changed == said else _dump(changed)
        return change(text)

    def _in_json(self, said: Any, change: _Change) -> Any:
        if isinstance(said, str):
            return self._in_text(said, change)  # which may be JSON again
        if isinstance(said, list):
            if len(said) == 2 and isinstance(said[0], str) and _is_key(said[0]):  # of an account
                return [said[0], self._of_key(said[0], said[1], change)]
            return [self._in_json(one, change) for one in said]
        if isinstance(said, dict):
            return {key: self._of_key(key, value, change) for key, value in said.items()}
        return said

    def _of_key(self, key: str, value: Any, change: _Change) -> Any:
        if isinstance(value, str) and _is_key(key):
            return self._value(value) if key == self.key else value
        return value if key in _OWN_WORDS else self._in_json(value, self._of_field(key, change))

    def _of_field(self, name: str, otherwise: _Change) -> _Change:
        """How a text in a field of that name is changed."""
        if name in _SENTENCES:
            return self._in_sentence
        if name in _SENTENCES_OR_WORDS:
            return self._in_sentence_or_word
        if name == "scope":
            return self._in_scope
        return self._in_name if name in _NAMES else otherwise

    def _in_sentence(self, text: str) -> str:
        return self._said.sub(lambda match: self._replaced(match, words=self._is_word), text)

    def _in_sentence_or_word(self, text: str) -> str:
        return self._in_sentence(text) if " " in text else self._in_value(text)

    def _in_value(self, text: str) -> str:
        return self._said.sub(lambda match: self._replaced(match, words=False), text)

    def _in_scope(self, text: str) -> str:
        try:
            pairs = parse_scope(text).pairs
        except UsageError:
            return self._in_value(text)
        changed = tuple((k, self._value(v) if k == self.key else v) for k, v in pairs)
        return text if changed == pairs else str(Scope(changed))

    def _in_name(self, text: str) -> str:
        """What core.budgets.budget_name makes."""
        scope, per, window = text.rpartition(" per ")
        return f"{self._in_scope(scope)}{per}{window}" if per else self._in_value(text)

    def _replaced(self, match: re.Match[str], *, words: bool) -> str:
        key = match["key"]
        if key is None:
            return self.stand_in if words else match[0]
        plain = key.lstrip("-")
        if plain != self.key and _is_key(plain):
            return match[0]
        return f"{key}={self.stand_in}"


def _is_key(key: str) -> bool:
    return key in ATTRIBUTES or key.startswith(TAG_PREFIX)


def _dump(said: Any) -> str:
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)
