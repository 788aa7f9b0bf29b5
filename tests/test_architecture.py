"""The arrows between our packages, read from the imports of every module.

Imports point down (DESIGN §2); core, providers and protocol do no I/O; what travels into other
people's programs needs nothing but the standard library of Python 3.10.  Imports inside functions
count as well; those under TYPE_CHECKING never run and don't.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"noburn_cli": ROOT, "noburn_daemon": ROOT / "daemon"}

LOWEST = ("noburn_cli.errors", "noburn_cli.version")
WIRE = (*LOWEST, "noburn_cli.core", "noburn_cli.providers", "noburn_cli.protocol")
FILES = (
    *("noburn_cli.resources", "noburn_cli.prices", "noburn_cli.ranks", "noburn_cli.paths"),
    *("noburn_cli.config_files", "noburn_cli.trust", "noburn_cli.journal_files"),
    "noburn_cli.whole_files",
)
GUARD = (*WIRE, *FILES, "noburn_cli.client", "noburn_cli.enforce")

#: Package or module -> what of ours it may import, itself always included.  The longest name that
#: fits decides; a module that fits none may import anything of noburn_cli but the daemon.
ARROWS = {
    "noburn_cli.errors": (),
    "noburn_cli.version": (),
    "noburn_cli.core": LOWEST,
    "noburn_cli.providers": (*LOWEST, "noburn_cli.core"),
    "noburn_cli.protocol": (*LOWEST, "noburn_cli.core"),
    "noburn_cli.resources": (*LOWEST, "noburn_cli.core"),
    "noburn_cli.paths": LOWEST,
    "noburn_cli.journal_files": LOWEST,
    "noburn_cli.whole_files": LOWEST,
    "noburn_cli.pyarrow_package": LOWEST,
    "noburn_cli.ranks": (*LOWEST, "noburn_cli.core", "noburn_cli.resources"),
    "noburn_cli.config_files": (*LOWEST, "noburn_cli.core", "noburn_cli.paths"),
    "noburn_cli.trust": (
        *(*LOWEST, "noburn_cli.core", "noburn_cli.paths", "noburn_cli.whole_files"),
    ),
    "noburn_cli.prices": (*LOWEST, "noburn_cli.core", *FILES),
    "noburn_cli.price_sources": (*LOWEST, "noburn_cli.core", *FILES),
    "noburn_cli.client": (*WIRE, "noburn_cli.paths", "noburn_cli.journal_files"),
    "noburn_cli.enforce": GUARD,
    "noburn_cli.langchain": GUARD,
    "noburn_cli.queues": GUARD,
    "noburn_cli.render": (
        *(*GUARD, "noburn_cli.reports", "noburn_cli.reconcile", "noburn_cli.run_summary"),
        *("noburn_cli.price_sources", "noburn_cli.revenue", "noburn_cli.profit"),
        "noburn_cli.importing",
        "noburn_cli.charts",
    ),
    "noburn_cli.revenue": (
        *(*LOWEST, "noburn_cli.core", "noburn_cli.paths"),
        "noburn_cli.config_files",
    ),
    "noburn_cli.charts": (*LOWEST, "noburn_cli.render.table", "noburn_cli.whole_files"),
    "noburn_cli.simulation_inputs": (*LOWEST, *FILES, "noburn_cli.core", "noburn_cli.reports"),
    "noburn_cli.plans_file": (*LOWEST, *FILES, "noburn_cli.core"),
    "noburn_cli.profit": (
        *(*LOWEST, "noburn_cli.core", "noburn_cli.paths", "noburn_cli.ledger_file"),
        *("noburn_cli.reports", "noburn_cli.revenue"),
    ),
    "noburn_cli.importing": (
        *(*LOWEST, *FILES, "noburn_cli.core", "noburn_cli.providers", "noburn_cli.reconcile"),
        "noburn_cli.pyarrow_package",
    ),
    "noburn_cli.reconcile": (*LOWEST, "noburn_cli.core", "noburn_cli.reports"),
    "noburn_cli.gating": (
        *(*LOWEST, *FILES, "noburn_cli.core", "noburn_cli.providers", "noburn_cli.inputs"),
        *("noburn_cli.estimating", "noburn_cli.learning", "noburn_cli.reports"),
        "noburn_cli.announcing",
        "noburn_cli.render.progress",
    ),
    "noburn_cli.export": (
        *(*LOWEST, "noburn_cli.core", "noburn_cli.ledger_file"),
        *("noburn_cli.whole_files", "noburn_cli.pyarrow_package"),
    ),
    "noburn_cli.otel": (
        *(*LOWEST, "noburn_cli.core", "noburn_cli.ledger_file", "noburn_cli.export"),
        "noburn_cli.reports.following",
    ),
    "noburn_cli.dashboard": (
        *(*LOWEST, *FILES, "noburn_cli.core", "noburn_cli.protocol", "noburn_cli.client"),
        *("noburn_cli.reports", "noburn_cli.render", "noburn_cli.ledger_file"),
        *("noburn_cli.live_runs", "noburn_cli.profit", "noburn_cli.revenue"),
    ),
    "noburn_cli.settings": (*LOWEST, "noburn_cli.core", *FILES),
    "noburn_daemon": (*WIRE, *FILES),
}
#: Nobody below the top may reach up to it.
TOP = ("noburn_cli.commands", "noburn_cli.cli", "noburn_cli.main", "noburn_cli.__main__")

#: Pure: given time, ids and randomness, they never open, connect, sleep, log or look around.
PURE = ("noburn_cli.core", "noburn_cli.providers", "noburn_cli.protocol", "noburn_cli.errors")
IO_MODULES = {
    *("asyncio", "fcntl", "ftplib", "glob", "http", "io", "logging", "mmap", "multiprocessing"),
    *("os", "pathlib", "platform", "pwd", "random", "secrets", "select", "selectors", "shutil"),
    *("signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time"),
    *("urllib.request", "uuid"),
}
IO_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint"}

#: The supervisor's side of enforce runs in our own environment; all the rest is injected.
OUR_SIDE = {
    f"noburn_cli.enforce.{name}"
    for name in (
        *("supervisor", "launch", "job", "watch", "survivors", "gateway"),
        *(
            "keys",
            "dotenv_keys",
            "unprotected",
            "lending",
            "bypass",
            "processes",
            "host_run",
            "key_file",
            "strict",
        ),
    )
}
GUEST_ROOTS = (
    *("noburn_cli.errors", "noburn_cli.protocol", "noburn_cli.client"),
    *("noburn_cli.langchain", "noburn_cli.queues"),
)
GUEST_PACKAGES = ("noburn_cli.providers", "noburn_cli.enforce")
#: What the hooks stand in front of: there when the program brought it.
HOOKED = {"httpx", "httpx2", "httpcore", "httpcore2", "openai", "anthropic"} | {
    *("langchain_core", "celery", "rq"),
}

AFTER_3_10 = {
    "asyncio": {"Runner", "TaskGroup", "timeout", "timeout_at"},
    "contextlib": {"chdir"},
    "datetime": {"UTC"},
    "enum": {"EnumCheck", "ReprEnum", "StrEnum", "member", "nonmember", "verify"},
    "hashlib": {"file_digest"},
    "itertools": {"batched"},
    "typing": {
        *("LiteralString", "Never", "NotRequired", "Required", "Self", "TypeVarTuple"),
        *("Unpack", "assert_never", "assert_type", "dataclass_transform", "override"),
    },
}
MODULES_AFTER_3_10 = {"tomllib", "wsgiref.types"}


@dataclass(frozen=True)
class Import:
    """`import module`, or one name of `from module import name`."""

    module: str
    name: str
    line: int


def module_files():
    found = {}
    for package, root in PACKAGES.items():
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_type_checking(node):
    test = node.test
    name = test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")
    return name == "TYPE_CHECKING"


def nodes_that_run(tree):
    """Every node but those in the body of `if TYPE_CHECKING`."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and is_type_checking(node):
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def imports_of(tree):
    for node in nodes_that_run(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import becomes a name that nothing allows, and so fails with its line.
            module = "." * node.level + (node.module or "")
            yield from (Import(module, alias.name, node.lineno) for alias in node.names)


FILES_BY_MODULE = module_files()
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in FILES_BY_MODULE.items()}


def target(found):
    """The module of ours that an import reaches: `from package import module` means the module.

    What the package itself offers (`from noburn_cli import wrap`) counts as its own name, since the
    package's front door may load anything.
    """
    whole = f"{found.module}.{found.name}"
    return whole if whole in TREES or (found.module in PACKAGES and found.name) else found.module


def within(module, prefixes):
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def ours(module):
    """(import, the module of ours that it reaches) for each import of ours."""
    reached = ((found, target(found)) for found in imports_of(TREES[module]))
    return [(found, name) for found, name in reached if within(name, PACKAGES)]


def home(module):
    """The longest entry of ARROWS that a module belongs to, or ""."""
    return max((name for name in ARROWS if within(module, (name,))), key=len, default="")


def arrow_faults(module):
    entry = home(module)
    allowed = (*ARROWS[entry], entry) if entry else ("noburn_cli",)
    for found, name in ours(module):
        up = within(name, TOP) and not within(module, TOP)
        if up or not (within(name, allowed) or name == "noburn_cli"):
            yield f"line {found.line}: {module} may not import {name}"


def foreign_faults(module, allowed):
    for found in imports_of(TREES[module]):
        top = found.module.partition(".")[0]
        if top not in PACKAGES and top not in allowed:
            yield f"line {found.line}: {module} may not import {found.module or found.name}"


def guests():
    """The injected modules and all of ours that they import, wherever the import stands."""
    waiting = [*GUEST_ROOTS, *(name for name in TREES if within(name, GUEST_PACKAGES))]
    found = set()
    while waiting:
        module = waiting.pop()
        if module not in found and not within(module, OUR_SIDE) and module in TREES:
            found.add(module)
            waiting += [module.rpartition(".")[0]]  # Importing a module runs its package first.
            waiting += [name for _, name in ours(module)]
    return sorted(found)


@pytest.mark.parametrize("module", TREES)
def test_imports_point_down(module):
    assert list(arrow_faults(module)) == []


@pytest.mark.parametrize("module", [name for name in TREES if within(name, PURE)])
def test_pure_modules_do_no_io(module):
    faults = [
        f"line {found.line}: {found.module}"
        for found in imports_of(TREES[module])
        if within(found.module, IO_MODULES)
    ]
    faults += [
        f"line {node.lineno}: {node.func.id}()"
        for node in nodes_that_run(TREES[module])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in IO_CALLS
    ]
    assert faults == []


@pytest.mark.parametrize("module", guests())
def test_a_guest_brings_nothing_along(module):
    stdlib = sys.stdlib_module_names - {"sqlite3"}
    assert list(foreign_faults(module, stdlib | HOOKED)) == []


@pytest.mark.parametrize("module", guests())
def test_a_guest_runs_on_python_3_10(module):
    path = FILES_BY_MODULE[module]
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 10))
    faults = [
        f"line {found.line}: {found.module} {found.name}"
        for found in imports_of(tree)
        if found.module in MODULES_AFTER_3_10 or found.name in AFTER_3_10.get(found.module, ())
    ]
    faults += [
        f"line {node.lineno}: {node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in AFTER_3_10.get(node.value.id, ())
    ]
    assert faults == []


@pytest.mark.skipif(shutil.which("python3.10") is None, reason="no Python 3.10 here")
def test_guests_import_in_a_bare_python_3_10():
    wanted = [name for name in guests() if not within(name, ("noburn_cli.enforce",))]
    ran = subprocess.run(
        ["python3.10", "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
         + "".join(f"import {name}\n" for name in wanted)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if "command not found" in ran.stderr:  # A version manager's stand-in for no Python 3.10.
        pytest.skip("python3.10 is a stand-in")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_guests_are_found():
    """Goal: a renamed package does not empty the list that the tests above walk."""
    found = set(guests())
    assert {"noburn_cli", "noburn_cli.core.usage", "noburn_cli.protocol"} <= found
    assert any(name.startswith("noburn_cli.providers.") for name in found)


def test_names_of_others_stay_free():
    """`daemon` belongs to python-daemon and `noburn` to another distribution."""
    assert not (ROOT / "daemon" / "__init__.py").exists()
    assert not (ROOT / "noburn").exists()
    assert not (ROOT / "noburn.py").exists()
