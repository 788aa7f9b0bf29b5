"""The children of a guarded Python: guarded as well, and by the gateway where they are no Python.

Layer: enforce, injected (standard library, Python 3.10).  Below: nothing.
Above: the injected bootstrap, children.  The other side of these variables is enforce.launch.

The base URLs of a run's children name its gateway.  A Python with a guard of its own has the
originals again, but only in `os.environ`: the C environment, which children inherit, keeps the
gateway, and an explicit copy of `os.environ` gets it again on its way to a child.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `typing` would cost every start some milliseconds.
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VARIABLE = "NOBURN_BASE_URLS"
_PATH = "PYTHONPATH"
_FOLDER = __file__.rpartition(os.sep)[0] + os.sep + "inject"
#: By variable: its original value, or None, and the gateway's, which children are to see.
_replaced: dict[str, tuple[str | None, str]] = {}


def restore_base_urls() -> None:
    """Give `os.environ` the base URLs that were there before the gateway's; once.

    Called when a library that calls is loaded: until then a base URL is the gateway's, which guards
    as well.  A variable that somebody has set since is theirs.
    """
    raw, gateway = os.environ.get(VARIABLE), os.environ.get("NOBURN_GATEWAY")
    if not raw or not gateway or _replaced:
        return
    if os.environ.get("NOBURN_STRICT") == "1":
        return  # Nothing but the gateway can be reached.
    import json  # Only a program that calls pays for it.

    own: Any = os.environ
    try:
        for name, original in json.loads(raw).items():
            current = os.environ.get(name, "")
            if not current.startswith(gateway + "/"):
                continue
            own._data.pop(own.encodekey(name), None)
            if original is not None:
                own._data[own.encodekey(name)] = own.encodevalue(original)
            _replaced[name] = (original, current)
    except (ValueError, AttributeError, TypeError):
        return  # By the gateway, then.


def environment_for(given: Mapping[Any, Any] | None) -> Any:
    """What a child gets in the place of an environment of the program's making.

    None, the inherited one, stays None where our folder is first on its path anyway.
    """
    if os.environ.get("NOBURN_GUARD") != "1":
        return given
    if given is not None and given.get("NOBURN_GUARD") == "0":
        return given  # A process of noburn's own: no guest, and to be left as it is.
    if given is None:
        if _with_us_first(os.environ.get(_PATH)) == os.environ.get(_PATH):
            return None
        given = os.environ
    child = {os.fsdecode(name): os.fsdecode(value) for name, value in given.items()}
    child[_PATH] = _with_us_first(child.get(_PATH))
    for name, value in os.environ.items():
        if name.startswith("NOBURN_"):
            child.setdefault(name, value)
    for name, (original, gateways) in _replaced.items():
        if child.get(name) == original:
            child[name] = gateways
    return child


def put_first() -> None:
    """Put our folder first on the path that a program started in our place inherits."""
    if os.environ.get("NOBURN_GUARD") == "1":
        path = _with_us_first(os.environ.get(_PATH))
        if os.environ.get(_PATH) != path:
            os.environ[_PATH] = path


def _with_us_first(path: str | None) -> str:
    if not path:
        return _FOLDER
    entries = path.split(os.pathsep)
    if entries[0] == _FOLDER:
        return path
    return os.pathsep.join([_FOLDER, *(entry for entry in entries if entry != _FOLDER)])
