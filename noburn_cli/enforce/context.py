"""Who a call is for: attributes and settings, from the environment and the current context.

Layer: enforce, injected (standard library, Python 3.10).  Below: policy, protocol, providers.
The other side of these variables is enforce.launch, which sets them for the children of a run.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import urlsplit

from noburn_cli.enforce import steps
from noburn_cli.enforce.policy import policy
from noburn_cli.enforce.variables import OfVariables
from noburn_cli.protocol import TAG_PREFIX, WAIT_MS_MAX
from noburn_cli.providers.hosts import BASE_URL_VARIABLES
from noburn_cli.providers.registry import Upstream

#: Attributes that have a variable of their own: `NOBURN_CUSTOMER` and so on.
NAMED = ("project", "customer", "feature", "user", "job", "run", "step")
#: (family, variable, price prefix) of every variable that may name a server.
BASE_URLS = BASE_URL_VARIABLES
DEFAULT_WAIT_S = 30.0
#: An uncapped call is not clamped below this many output tokens: less is rarely an answer.
DEFAULT_OUTPUT_FLOOR = 256

#: What each block around this code adds, outermost first, and the frameworks' step where it began.
_Layer = tuple[Mapping[str, str], steps.Path]
_layers: ContextVar[tuple[_Layer, ...]] = ContextVar("noburn_attributes", default=())


@dataclass(frozen=True)
class Settings:
    """How this process's calls are treated.

    wait_ms: how long a call may wait for money in flight, in milliseconds.
    clamp: whether an uncapped output is lowered to what is affordable.
    lower_caps: whether an explicit cap may be lowered as well.
    output_floor: tokens below which an uncapped output is not clamped.
    """

    wait_ms: int
    clamp: bool
    lower_caps: bool
    output_floor: int


def _read_settings() -> Settings:
    return Settings(
        wait_ms=min(WAIT_MS_MAX, int(_number("NOBURN_WAIT_S", DEFAULT_WAIT_S) * 1000)),
        clamp=os.environ.get("NOBURN_CLAMP", "1") != "0",
        lower_caps=os.environ.get("NOBURN_LOWER_CAPS", "0") == "1",
        output_floor=max(1, int(_number("NOBURN_OUTPUT_FLOOR", DEFAULT_OUTPUT_FLOOR))),
    )


def attributes(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The attributes of a call made here and now.

    The environment's, overlaid by those the request itself has been given (enforce.attribution),
    overlaid by the context's.  A step does not overlay the steps around it: it is the innermost
    of their path.
    """
    found = {**_environment_attributes(), **(given or {})}
    outer = found.get("step", "")
    layers = _layers.get()
    for changes, _ in layers:
        found.update(changes)
    blocks = [(began, changes["step"]) for changes, began in layers if "step" in changes]
    if step := steps.compose(outer, blocks, steps.here()):
        found["step"] = step
    return found


def is_gateway(url: str) -> bool:
    """Whether a request goes to this run's gateway, which guards it there."""
    origin = os.environ.get("NOBURN_GATEWAY")
    return bool(origin) and (url == origin or url.startswith(f"{origin}/"))


def upstreams() -> tuple[Upstream, ...]:
    """The configuration's endpoints, and the base URLs that the environment names.

    The environment is looked at anew because programs set it late.
    """
    return (*policy().endpoints, *_named_upstreams())


def _read_upstreams() -> tuple[Upstream, ...]:
    return tuple(
        Upstream(family, url.strip(), provider)
        for family, name, provider in BASE_URLS
        if (url := os.environ.get(name)) and _is_url(url.strip())
    )


def push(changes: Mapping[str, str]) -> None:
    """Add attributes to the calls made from here on, in this thread or task and its children."""
    began = steps.here() if "step" in changes else ()
    _layers.set((*_layers.get(), (changes, began)))


def pop(changes: Mapping[str, str]) -> None:
    """Take the attributes of a `push` away again.

    These very ones: blocks that end in another order than they began, as generators can make them,
    must not end each other.
    """
    layers = list(_layers.get())
    for place in reversed(range(len(layers))):
        if layers[place][0] is changes:
            del layers[place]
            break
    _layers.set(tuple(layers))


def variables() -> dict[str, str]:
    """What a process started here needs in its environment to be for whom this code is for.

    Only what differs from this process's own environment.
    """
    before, now = _environment_attributes(), attributes()
    found = {
        f"NOBURN_{name.upper()}": now[name]
        for name in NAMED
        if name in now and now[name] != before.get(name)
    }
    tags = {key[len(TAG_PREFIX) :]: tag for key, tag in now.items() if key.startswith(TAG_PREFIX)}
    if any(before.get(TAG_PREFIX + key) != tag for key, tag in tags.items()):
        found["NOBURN_TAGS"] = json.dumps(tags, sort_keys=True)
    return found


def carried() -> dict[str, str]:
    """What work given away from here takes along, to be done with this same environment."""
    before, now = _environment_attributes(), attributes()
    changed = {name: value for name, value in now.items() if value != before.get(name)}
    if "step" in changed and before.get("step"):
        # The environment's part is there already.
        changed["step"] = changed["step"].removeprefix(before["step"] + "/")
    return changed


@contextlib.contextmanager
def only(changes: Mapping[str, str]) -> Iterator[None]:
    """Do what is inside for these attributes, and not for those of code around it."""
    layers = ((dict(changes), steps.here()),) if changes else ()
    before = _layers.set(layers)
    try:
        yield
    finally:
        _layers.reset(before)


def is_in_block() -> bool:
    """Whether any attributes beside the environment's are in force."""
    return bool(_layers.get())


def _is_url(text: str) -> bool:
    """Whether a request can be compared with it; the SDKs cannot send to what is none."""
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def _read_attributes() -> Mapping[str, str]:
    found = {name: value for name in NAMED if (value := os.environ.get(f"NOBURN_{name.upper()}"))}
    tags = os.environ.get("NOBURN_TAGS")
    if tags:
        with contextlib.suppress(ValueError, AttributeError):
            found.update({f"{TAG_PREFIX}{key}": str(tag) for key, tag in json.loads(tags).items()})
    return found


def _number(name: str, default: float) -> float:
    try:
        number = float(os.environ.get(name, default))
    except ValueError:
        return default
    return number if math.isfinite(number) and number >= 0 else default


#: The settings of the environment; a value that cannot be read counts as not set.
settings = OfVariables(
    ("NOBURN_WAIT_S", "NOBURN_CLAMP", "NOBURN_LOWER_CAPS", "NOBURN_OUTPUT_FLOOR"), _read_settings
)
_named_upstreams = OfVariables((one.variable for one in BASE_URLS), _read_upstreams)
_environment_attributes = OfVariables(
    (*(f"NOBURN_{name.upper()}" for name in NAMED), "NOBURN_TAGS"), _read_attributes
)
