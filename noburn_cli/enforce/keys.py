"""Virtual keys in the place of real ones: what a run's children find in their environment.

Layer: enforce, the supervisor's side, pure.  Below: providers.credentials.  Above: supervisor.
Owns: how a virtual key looks and which keys get one.
Not here: who lends the real ones (lending), keys in files (dotenv_keys, unprotected).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from noburn_cli.errors import UsageError
from noburn_cli.providers.credentials import KEY_VARIABLES, MARK

#: A virtual key keeps the beginning by which programs tell whose key it is.
_LOOKS = ("sk-ant-", "sk-or-", "sk-", "AIza", "gsk_", "xai-", "ABSK", "nvapi-", "csk-", "fw_")
#: A subscription's login, not an API key: coding agents treat it otherwise, and so do we.
SUBSCRIPTION = "sk-ant-oat"
#: The forms in which OpenAI, Anthropic, OpenRouter, Google, Groq and xAI give out keys.
_LIKE_A_KEY = re.compile(r"\b(sk-[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{30,}|(gsk_|xai-)\w{20,})")
_REDACTED = "[key]"
_SENDABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class VirtualKeys:
    """What replaces the real keys.

    variables: by variable, the virtual key.
    lent: by virtual key, the real one; never shown.
    left: variables that keep a real key, because they were asked to or it cannot be replaced.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    lent: Mapping[str, str] = field(default_factory=dict, repr=False)
    left: tuple[str, ...] = ()


def virtual_keys(
    environment: Mapping[str, str], *, found: Mapping[str, str], keep: Collection[str] = ()
) -> VirtualKeys:
    """A virtual key for every provider key in an environment, and for those that programs would
    load into it from their files.

    found: by variable, the keys in those files; one that the environment has counts for nothing.
    keep: variables that keep what they have.
    """
    variables: dict[str, str] = {}
    made: dict[str, str] = {}
    left = []
    for name in KEY_VARIABLES:
        real = (environment.get(name) or "").strip() or (
            "" if name in environment else found.get(name, "").strip()
        )
        if not real or MARK in real:
            continue  # None, or one that an outer run has lent.
        if name in keep or real.startswith(SUBSCRIPTION) or not _SENDABLE.fullmatch(real):
            left.append(name)
            continue
        # One key under two names is one key.
        variables[name] = made.setdefault(real, new_virtual_key(real))
    return VirtualKeys(variables, {virtual: real for real, virtual in made.items()}, tuple(left))


def check_keep(names: Sequence[str]) -> tuple[str, ...]:
    """Raises UsageError for a variable that gets no virtual key anyway."""
    for name in names:
        if name not in KEY_VARIABLES:
            raise UsageError(
                f"{name} is no variable that gets a virtual key",
                next_step=f"known are {', '.join(KEY_VARIABLES)}",
            )
    return tuple(names)


def redacted(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """A command as it may be recorded: without the keys of the environment, and without words that
    look like keys."""
    known = [real for name in KEY_VARIABLES if len(real := environment.get(name, "")) >= 8]
    shown = []
    for word in command:
        for real in known:
            word = word.replace(real, _REDACTED)
        shown.append(_LIKE_A_KEY.sub(_REDACTED, word))
    return shown


def new_virtual_key(real: str) -> str:
    """A virtual key that nobody has, with the look of a real one."""
    look = next((one for one in _LOOKS if real.startswith(one)), "")
    return f"{look}{MARK}{secrets.token_hex(16)}"
