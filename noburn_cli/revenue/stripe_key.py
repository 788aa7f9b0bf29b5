"""The key that reads Stripe: where it may come from, and which kinds are taken.

Layer: revenue, I/O.  Below: errors.  Above: commands.importing.stripe_account.
Owns: that a key comes from the environment or a file of one's own, is restricted, and stands in no
message.  A key on a command line would be in the shell's history and in every process list.
Prefixes: https://docs.stripe.com/keys (looked up 2026-11-27): `sk_` secret, `rk_` restricted, `pk_`
publishable; `_test_` and `_live_` are the modes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from noburn_cli.errors import UsageError

VARIABLE = "STRIPE_API_KEY"
#: Stripe's source names: a rehearsal is never added to real money.
LIVE, TEST = "stripe", "stripe-test"
_KEY_BYTES_MAX = 1_024
_PREFIXES = ("sk_", "rk_", "pk_")
#: What a restricted key must be allowed to read, as Stripe's dashboard calls it.
PERMISSIONS = (
    *("Balance transactions", "Charges and refunds", "Credit grants", "Credit notes", "Customers"),
    *("Disputes", "Events", "Invoices", "Payment intents", "Prices", "Products", "Subscriptions"),
)
NEEDS = (
    "make a restricted key in Stripe's dashboard (Developers, API keys) that may only read: "
    + ", ".join(PERMISSIONS)
)


@dataclass(frozen=True)
class StripeKey:
    """A restricted key; its text is shown by nothing."""

    secret: str = field(repr=False)

    @property
    def livemode(self) -> bool:
        return self.secret.startswith("rk_live_")

    @property
    def source(self) -> str:
        return LIVE if self.livemode else TEST


def find_key(environment: Mapping[str, str], file: Path | None) -> StripeKey:
    """The key of a file, or else of the environment.  Raises UsageError."""
    if file is not None:
        return judge(_read(file), str(file))
    secret = environment.get(VARIABLE, "").strip()
    if not secret:
        raise UsageError(
            f"{VARIABLE} is not set",
            why="Stripe tells its figures to a key alone, and a key does not belong on a command "
            "line",
            next_step=f"{NEEDS}; set {VARIABLE}, or name a file with --key-file{_package_too()}",
        )
    return judge(secret, VARIABLE)


def _package_too() -> str:
    """What is missing besides, so that one message has all of it."""
    if find_spec("stripe") is not None:
        return ""
    return ". The package stripe is missing as well: pip install 'noburn-cli[stripe]'"


def judge(secret: str, origin: str) -> StripeKey:
    """The key, when it is a restricted one.  Raises UsageError, which does not repeat it."""
    if secret.startswith("sk_"):
        raise UsageError(
            f"{origin} is a full secret key, and was not used",
            why="it could charge, refund and pay out; reading revenue needs none of that",
            next_step=NEEDS,
        )
    if secret.startswith("pk_"):
        raise UsageError(f"{origin} is a publishable key, which reads nothing", next_step=NEEDS)
    modes = ("rk_live_", "rk_test_")
    if not secret.startswith(modes) or not secret.isascii() or not secret.isprintable():
        raise UsageError(
            f"{origin} is no restricted key of Stripe's",
            why="one begins with rk_live_ or rk_test_",
            next_step=NEEDS,
        )
    return StripeKey(secret)


def _read(path: Path) -> str:
    """The one line of a key file.  Raises UsageError, for one that others may read as well."""
    if path.name.startswith(_PREFIXES) and not path.exists():
        raise UsageError(
            "--key-file names a file, and what it was given looks like a key",
            why="a key on a command line stays in the shell's history and in process lists",
            next_step=f"write it to a file of mode 600, or set {VARIABLE}; roll the key if others "
            "read this machine",
        )
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_KEY_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    if stat.S_ISREG(mode) and mode & 0o077:
        raise UsageError(
            f"{path} can be read by others on this machine", next_step=f"chmod 600 {path}"
        )
    if len(content) > _KEY_BYTES_MAX:
        raise UsageError(f"{path} is no key file", why="it is longer than any key")
    return content.decode("utf-8", "replace").strip()
