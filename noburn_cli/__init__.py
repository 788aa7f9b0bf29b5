"""noburn: know what an LLM call costs before it leaves, and stop it when the money is gone.

The public names load on first use, so that `import noburn_cli` costs a program nothing:

- `attribute(customer=…, feature=…, job=…, budget=…)`: who the calls made inside are for.
- `wrap(client)`: guard a client in a program that `noburn run` did not start.
- `remaining()` and `await aremaining()`: what is left for calls made here.
"""

from __future__ import annotations

from noburn_cli.version import __version__

# Importing `typing` for it would cost more than all the rest; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from noburn_cli.enforce.api import Remaining as Remaining
    from noburn_cli.enforce.api import aremaining as aremaining
    from noburn_cli.enforce.api import attribute as attribute
    from noburn_cli.enforce.api import remaining as remaining
    from noburn_cli.enforce.api import wrap as wrap

_FROM_API = ("Remaining", "aremaining", "attribute", "remaining", "wrap")
__all__ = ["Remaining", "__version__", "aremaining", "attribute", "remaining", "wrap"]


def __getattr__(name: str) -> object:
    if name in _FROM_API:
        from noburn_cli.enforce import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
