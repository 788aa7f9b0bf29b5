"""Virtual keys in the place of real ones: what a run's children find in their environment.

Layer: enforce, the supervisor's side, pure.  Below: providers.credentials.  Above: supervisor.
Owns: how a virtual key looks and which keys get one.
Not here: who lends the real ones (lending), keys in files (dotenv_keys, unprotected).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from noburn_cli.providers.credentials import KEY_VARIABLES, MARK

#: A virtual key keeps the beginning by which programs tell whose key it is.
_LOOKS = ("sk-ant-", "sk-or-", "sk-", "AIza", "gsk_", "xai-", "ABSK", "nvapi-", "csk-", "fw_")
#: A subscription's login, not an API key: coding agents treat it otherwise, and so do we.
SUBSCRIPTION = "sk-ant-oat"
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


def new_virtual_key(real: str) -> str:
    """A virtual key that nobody has, with the look of a real one."""
    look = next((one for one in _LOOKS if real.startswith(one)), "")
    return f"{look}{MARK}{secrets.token_hex(16)}"
