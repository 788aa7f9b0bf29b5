"""What a child of `noburn run` is told: its environment, and nothing else.

Layer: enforce, pure.  Above: supervisor.  The other side of these variables is enforce.context.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from noburn_cli.core.budgets import check_attributes
from noburn_cli.errors import UsageError
from noburn_cli.providers.registry import host_facts

#: The folder that goes on PYTHONPATH; it holds sitecustomize.py and nothing more.
INJECT_FOLDER = Path(__file__).parent / "inject"
#: What Node executes first.  Not in the folder above: a Python must not find a module `node` there.
NODE_PRELOAD = Path(__file__).parent / "node" / "preload.cjs"
#: Attributes that have a variable of their own; `run` has NOBURN_RUN, tags NOBURN_TAGS.
NAMED_ATTRIBUTES = ("project", "customer", "feature", "user", "job")


#: What Python sets LC_CTYPE to, for itself and its children, in the C locale (PEP 538).
_COERCED_LOCALES = ("C.UTF-8", "C.utf8", "UTF-8")


@dataclass(frozen=True)
class LaunchSettings:
    """How the calls below one `noburn run` are treated.  None leaves it to the environment.

    attributes: by name, `tag.NAME` for tags; `run` is not among them.
    wait_s: how many seconds a call may wait for money in flight.
    clamp: whether an uncapped output is lowered to what is affordable.
    lower_caps: whether an explicit output cap may be lowered as well.
    output_floor: the least cap, in tokens, that an uncapped call is clamped to.
    policy: the text of NOBURN_POLICY (noburn_cli.settings); always set, so that no child looks for
        a configuration of its own.
    keep_keys: variables whose real key the child keeps.
    strict: whether the child reaches the run's gateway and nothing else.
    """

    attributes: Mapping[str, str] = field(default_factory=dict)
    wait_s: float | None = None
    clamp: bool | None = None
    lower_caps: bool | None = None
    output_floor: int | None = None
    policy: str = "{}"
    keep_keys: tuple[str, ...] = ()
    strict: bool = False


def run_path(new_id: str, environment: Mapping[str, str]) -> str:
    """The path of a new run: below the run that this process is in, if there is one."""
    outer = environment.get("NOBURN_RUN", "")
    return f"{outer}/{new_id}" if outer else new_id


def run_attributes(
    environment: Mapping[str, str],
    *,
    named: Mapping[str, str | None],
    tags: Mapping[str, str],
    configured: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The attributes of a run: the configuration's, overlaid by the environment's, overlaid by what
    was given, empty ones left out.

    configured: by attribute, `tag.NAME` for tags.
    named: by attribute; None was not given, and an empty text takes the environment's away.
    Raises UsageError for a value that cannot be stored, and for a NOBURN_TAGS that is no object.
    """
    attributes = {
        **(configured or {}),
        **{
            name: value
            for name in NAMED_ATTRIBUTES
            if (value := environment.get(f"NOBURN_{name.upper()}"))
        },
    }
    attributes.update({f"tag.{tag}": value for tag, value in _inherited_tags(environment).items()})
    attributes.update({name: value for name, value in named.items() if value is not None})
    attributes.update({f"tag.{tag}": value for tag, value in tags.items()})
    return check_attributes(attributes)


def _inherited_tags(environment: Mapping[str, str]) -> dict[str, str]:
    text = environment.get("NOBURN_TAGS") or "{}"
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        tags = None
    if not isinstance(tags, dict) or any(isinstance(tag, dict | list) for tag in tags.values()):
        raise UsageError(
            f"NOBURN_TAGS in the environment cannot be read: {text!r}",
            why="it is to be a JSON object of names and texts",
            next_step="""write it like NOBURN_TAGS='{"team": "search"}', or unset it""",
        )
    return {tag: str(value) for tag, value in tags.items()}


def without_coerced_locale(
    environment: Mapping[str, str], started_with: bytes | None
) -> dict[str, str]:
    """The environment without the LC_CTYPE that our own interpreter put into it.

    started_with: the block of variables that this process was started with, each ended by NUL;
        None where the system doesn't show it, and nothing is taken out.
    """
    kept = dict(environment)
    if started_with is None or b"LC_CTYPE" in {
        entry.partition(b"=")[0] for entry in started_with.split(b"\0")
    }:
        return kept
    if kept.get("LC_CTYPE") in _COERCED_LOCALES:
        del kept["LC_CTYPE"]
    return kept


def child_environment(
    base: Mapping[str, str],
    settings: LaunchSettings,
    *,
    run: str,
    home: Path,
    daemon_command: Sequence[str],
) -> dict[str, str]:
    """The child's environment: `base`, the hook's folder first on PYTHONPATH, the preload last
    in NODE_OPTIONS, our variables."""
    environment = dict(base)
    environment["PYTHONPATH"] = _python_path(environment.get("PYTHONPATH", ""))
    environment["NODE_OPTIONS"] = _node_options(environment.get("NODE_OPTIONS", ""))
    environment["NOBURN_PROVIDER_HOSTS"] = json.dumps(host_facts())
    environment["NOBURN_GUARD"] = "1"
    environment["NOBURN_HOME"] = str(home)
    environment["NOBURN_RUN"] = run
    environment["NOBURN_DAEMON"] = json.dumps(list(daemon_command))
    environment["NOBURN_POLICY"] = settings.policy
    if settings.wait_s is not None:
        environment["NOBURN_WAIT_S"] = f"{settings.wait_s:g}"
    if settings.clamp is not None:
        environment["NOBURN_CLAMP"] = "1" if settings.clamp else "0"
    if settings.lower_caps is not None:
        environment["NOBURN_LOWER_CAPS"] = "1" if settings.lower_caps else "0"
    if settings.output_floor is not None:
        environment["NOBURN_OUTPUT_FLOOR"] = str(settings.output_floor)
    _name_attributes(environment, settings.attributes)
    return environment


def _python_path(before: str) -> str:
    if not before:
        return str(INJECT_FOLDER)
    # An empty entry means the working folder, so it stays.
    others = [entry for entry in before.split(os.pathsep) if entry != str(INJECT_FOLDER)]
    return os.pathsep.join([str(INJECT_FOLDER), *others])


def _node_options(before: str) -> str:
    """NODE_OPTIONS with our preload after what is there.

    Node splits it at blanks; a part in double quotes may hold them, with `\\` before `"` and `\\`.
    https://nodejs.org/api/cli.html#node_optionsoptions (checked 2026-11-27)
    """
    path = str(NODE_PRELOAD).replace("\\", "\\\\").replace('"', '\\"')
    ours = f'--require "{path}"'
    if ours in before:
        return before
    return f"{before} {ours}" if before.strip() else ours


def _name_attributes(environment: dict[str, str], attributes: Mapping[str, str]) -> None:
    """Write the attributes as variables; an inherited one that is none of them goes."""
    for name in NAMED_ATTRIBUTES:
        environment.pop(f"NOBURN_{name.upper()}", None)
    environment.pop("NOBURN_TAGS", None)
    tags = {}
    for name, value in attributes.items():
        if name.startswith("tag."):
            tags[name.removeprefix("tag.")] = value
        else:
            environment[f"NOBURN_{name.upper()}"] = value
    if tags:
        environment["NOBURN_TAGS"] = json.dumps(tags, sort_keys=True)
