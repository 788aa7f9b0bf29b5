"""Runs at the start of every Python below `noburn run`, from PYTHONPATH.

Layer: enforce, injected: the first of ours that a guest's interpreter executes, so it imports next
to nothing.  It makes `noburn_cli` importable from its own folder without putting our site-packages
on anybody's path, leaves word that this process has a guard, asks to be told when a library that
calls is imported, sees to it that the programs which this one starts are guarded as well, and hands
over to the sitecustomize that would have run without us.
It must run on Pythons older than ours, too: they go on, but cannot load what would be unguarded.
"""

import importlib.machinery
import os
import sys

TYPE_CHECKING = False  # `typing` would cost every start some milliseconds.
if TYPE_CHECKING:
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(os.path.dirname(_HERE))
#: By module: our module below noburn_cli.enforce, and the function in it that puts the guard in.
HOOKED = {
    "httpx": ("httpx_hook", "hook_httpx"),
    "httpx2": ("httpx_hook", "hook_httpx"),
    "aiohttp": ("aiohttp_hook", "hook_aiohttp"),
    "botocore.endpoint": ("botocore_hook", "hook_botocore"),
    "curl_cffi.requests.session": ("curl_cffi_hook", "hook_curl_cffi"),
    "http.client": ("http_client_hook", "hook_http_client"),
}
#: The same for what only tells something: whom calls are for, what passed no guard.  A program goes
#: on without it.
TOLD = {
    "socket": ("connections", "hook_socket"),
    "subprocess": ("children", "hook_subprocess"),
    "multiprocessing.process": ("children", "hook_process"),
    "multiprocessing.pool": ("children", "hook_pool"),
    "concurrent.futures.process": ("children", "hook_executor"),
    "concurrent.futures.thread": ("children", "hook_threads"),
    "langchain_core.tracers.context": ("langchain_steps", "hook_langchain"),
    "_pytest.config": ("pytest_tests", "hook_pytest"),
}


def _hook(module: "Any", name: str) -> None:
    if name in TOLD:
        _tell(module, *TOLD[name])
        return
    if sys.version_info < (3, 10):  # noqa: UP036 - the guest chooses the interpreter
        if name in ("http.client",):
            return  # Much else needs it; what it calls has no key that a provider takes.
        raise ImportError(f"noburn guards Python 3.10 and later: {module} cannot be used here")
    ours, function = HOOKED[name]
    hooks = __import__("noburn_cli.enforce." + ours, fromlist=[function])
    # A hook that fails lets the import fail: a program without a guard must not call.
    getattr(hooks, function)(module, every_client=True)
    _inheritance("restore_base_urls")()


def _inheritance(function: str) -> "Any":
    module = __import__("noburn_cli.enforce.inheritance", fromlist=[function])
    return getattr(module, function)


def _tell(module: "Any", ours: str, function: str) -> None:
    if sys.version_info < (3, 10):  # noqa: UP036
        return
    try:
        hooks = __import__("noburn_cli.enforce." + ours, fromlist=[function])
        getattr(hooks, function)(module)
    except Exception as error:  # noqa: BLE001
        sys.stderr.write("noburn: %s could not be put in: %s\n" % (ours, error))  # noqa: UP031


class _Loader:
    """Loads a module as its own loader does, then puts the guard into it."""

    def __init__(self, inner: "Any") -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._inner, name)

    def create_module(self, spec: "Any") -> "Any":
        return self._inner.create_module(spec)

    def exec_module(self, module: "Any") -> None:
        self._inner.exec_module(module)
        _hook(module, module.__name__)


class _Finder:
    """Finds the hooked modules where they would be found anyway, and noburn_cli in its folder."""

    is_noburns = True

    @staticmethod
    def find_spec(name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        if name == "noburn_cli":
            return importlib.machinery.PathFinder.find_spec(name, [os.path.dirname(_PACKAGE)])
        if name not in HOOKED and name not in TOLD:
            return None
        for finder in sys.meta_path:
            find = None if finder is _Finder else getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader)
                return spec
        return None


def run_the_next(name: str) -> None:
    """Find the customisation that ours hides, and run it under its name."""
    others = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec(name, others)
    if spec is None or spec.loader is None:
        return
    module = type(sys)(name)
    module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _guard_started(name: str, place: int) -> None:
    """Have a function of `os` start programs with our folder first on their path.

    A launcher puts its own first, and its sitecustomize need not hand over (OpenTelemetry's).
    place: of the environment among the arguments; -1 for the one that is inherited.
    """
    original = getattr(os, name, None)
    if original is None or sys.version_info < (3, 10):
        return

    def start(*arguments: "Any", **more: "Any") -> "Any":
        if place < 0:
            _inheritance("put_first")()
        elif len(arguments) > place:
            env = _inheritance("environment_for")(arguments[place])
            arguments = (*arguments[:place], env, *arguments[place + 1 :])
        return original(*arguments, **more)

    start.__name__ = start.__qualname__ = name
    start.__doc__ = original.__doc__
    setattr(os, name, start)


def _say_present() -> None:
    """A file named after this process tells the run that it is guarded."""
    folder = os.environ.get("NOBURN_PRESENCE")
    if folder:
        try:  # noqa: SIM105 - an import more at every start
            os.close(os.open(os.path.join(folder, str(os.getpid())), os.O_CREAT, 0o600))
        except OSError:
            pass  # The run has ended, and nobody asks any more.


if os.environ.get("NOBURN_GUARD") == "1" and not any(
    getattr(finder, "is_noburns", False) for finder in sys.meta_path
):
    sys.meta_path.insert(0, _Finder)
    _say_present()
    if hasattr(os, "register_at_fork"):  # 3.7
        os.register_at_fork(after_in_child=_say_present)
    for _name, _place in (("execv", -1), ("execve", 2), ("posix_spawn", 2), ("posix_spawnp", 2)):
        _guard_started(_name, _place)
    for _name in (*HOOKED, *TOLD):  # A .pth file may have been earlier.
        if _name in sys.modules:
            _hook(sys.modules[_name], _name)
if __name__ == "sitecustomize":
    run_the_next("sitecustomize")
