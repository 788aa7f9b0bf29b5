"""What a child of `noburn run` is told: its environment, and nothing else.

Layer: enforce, pure.  Above: supervisor.  The other side of these variables is enforce.context.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: The folder that goes on PYTHONPATH; it holds sitecustomize.py and nothing more.
INJECT_FOLDER = Path(__file__).parent / "inject"
#: Attributes that have a variable of their own; `run` has NOBURN_RUN, tags NOBURN_TAGS.
NAMED_ATTRIBUTES = ("project", "customer", "feature", "user", "job")


@dataclass(frozen=True)
class LaunchSettings:
    """How the calls below one `noburn run` are treated.

    attributes: by name, `tag.NAME` for tags; `run` is not among them.
    wait_s: how many seconds a call may wait for money in flight.
    clamp: whether an uncapped output is lowered to what is affordable.
    lower_caps: whether an explicit output cap may be lowered as well.
    output_floor: the least cap, in tokens, that an uncapped call is clamped to, or None.
    """

    attributes: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 30.0
    clamp: bool = True
    lower_caps: bool = False
    output_floor: int | None = None


def run_path(new_id: str, environment: Mapping[str, str]) -> str:
    """The path of a new run: below the run that this process is in, if there is one."""
    outer = environment.get("NOBURN_RUN", "")
    return f"{outer}/{new_id}" if outer else new_id


def inherited_attributes(environment: Mapping[str, str]) -> dict[str, str]:
    """The attributes that the environment already names."""
    attributes = {
        name: environment[variable]
        for name in NAMED_ATTRIBUTES
        if environment.get(variable := f"NOBURN_{name.upper()}")
    }
    for tag, value in json.loads(environment.get("NOBURN_TAGS") or "{}").items():
        attributes[f"tag.{tag}"] = str(value)
    return attributes


def child_environment(
    base: Mapping[str, str],
    settings: LaunchSettings,
    *,
    run: str,
    home: Path,
    daemon_command: Sequence[str],
) -> dict[str, str]:
    """The child's environment: `base`, the hook's folder first on PYTHONPATH, our variables."""
    environment = dict(base)
    others = [
        entry
        for entry in environment.get("PYTHONPATH", "").split(os.pathsep)
        if entry and entry != str(INJECT_FOLDER)
    ]
    environment["PYTHONPATH"] = os.pathsep.join([str(INJECT_FOLDER), *others])
    environment["NOBURN_GUARD"] = "1"
    environment["NOBURN_HOME"] = str(home)
    environment["NOBURN_RUN"] = run
    environment["NOBURN_DAEMON"] = json.dumps(list(daemon_command))
    environment["NOBURN_WAIT_S"] = f"{settings.wait_s:g}"
    environment["NOBURN_CLAMP"] = "1" if settings.clamp else "0"
    environment["NOBURN_LOWER_CAPS"] = "1" if settings.lower_caps else "0"
    if settings.output_floor is not None:
        environment["NOBURN_OUTPUT_FLOOR"] = str(settings.output_floor)
    tags = {}
    for name, value in settings.attributes.items():
        if name.startswith("tag."):
            tags[name.removeprefix("tag.")] = value
        else:
            environment[f"NOBURN_{name.upper()}"] = value
    if tags:
        environment["NOBURN_TAGS"] = json.dumps(tags, sort_keys=True)
    return environment
