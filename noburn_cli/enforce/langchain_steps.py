"""Which step of a LangChain or LangGraph program a call belongs to: the `step` of every call.

Layer: enforce, injected (standard library, and langchain-core where the program has it; Python
3.10).  Below: enforce.steps.  Above: the injected hook under `noburn run`, and
noburn_cli.langchain elsewhere.

LangChain tells its callbacks where each chain, tool and model begins; a handler, registered for all
of them, keeps the path of each that is open.  Which of them a request belongs to is asked when it
leaves: the model call that began in this very context, or else the step whose code is running
(LangChain keeps that in a context variable of its own), so that a raw SDK call inside a node or a
tool is told as well.  Reads langchain-core 1.8.3 and langgraph 1.2.24 (checked 2026-11-27).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from noburn_cli.enforce import steps

#: Steps that may be open at once; those that never end (their thread died) are forgotten first.
OPEN_MAX = 50_000
#: What LangGraph calls a graph that has no name, and what we do.
_GRAPH_NAMES = ("LangGraph", "Pregel")
_GRAPH, _CHAIN = "graph", "chain"
#: Names of classes that say nothing of what they do here.
_GENERIC = ("Runnable", "ChannelWrite", "ChannelRead", "_write")
#: LangChain's own mark for machinery.
_HIDDEN = "langsmith:hidden"
_SEQUENCE, _MAP, _NODE = "seq:step:", "map:key:", "graph:step:"


@dataclass(frozen=True)
class _Open:
    """A chain, tool or model call that has begun and not ended.  in_chain: a step in a sequence."""

    parent: object
    path: steps.Path
    is_node: bool = False


_open: dict[object, _Open] = {}
#: The model call that began last in this context.
_model: ContextVar[object] = ContextVar("noburn_model_run", default=None)
#: Modules whose callbacks go to us: a program can load LangChain again.
_told_by: list[Any] = []


def instrument() -> None:
    """Attribute every call that LangChain or LangGraph makes to its step; again is harmless.

    Raises ImportError without langchain-core.
    """
    from langchain_core.tracers import context

    if not any(module is context for module in _told_by):
        _told_by.append(context)
        handler = _handler()
        # A default instead of a value: it holds in every thread and task.
        everywhere: ContextVar[Any] = ContextVar("noburn_steps", default=handler)
        context.register_configure_hook(everywhere, inheritable=True)
    steps.add_source(current_path)


def hook_langchain(_: Any, **__: object) -> None:
    """As `instrument`, when LangChain's module of hooks has just been loaded.

    A LangChain that is not as expected goes on without steps: they decide no money.
    """
    with contextlib.suppress(ImportError, AttributeError, TypeError):
        instrument()


def current_path() -> steps.Path:
    """The path of the step that this code runs in; () outside of any."""
    model = _model.get()
    began = _open.get(model)
    running = _running()
    if began is not None and (running not in _open or _is_below(model, running)):
        return began.path
    found = _open.get(running)
    return () if found is None else found.path


def _running() -> object:
    """The run whose code this is, by the configuration that its children inherit."""
    module = sys.modules.get("langchain_core.runnables.config")
    variable = getattr(module, "var_child_runnable_config", None)
    config = None if variable is None else variable.get()
    return getattr((config or {}).get("callbacks"), "parent_run_id", None)


def _is_below(run: object, above: object) -> bool:
    """Whether `above` is among the parents of `run`."""
    seen = 0
    while (found := _open.get(run)) is not None and seen < OPEN_MAX:
        if found.parent == above:
            return True
        run, seen = found.parent, seen + 1
    return False


def _begin(
    run: object, parent: object, name: str, tags: Sequence[str], *, kind: str = "", generic: bool
) -> None:
    above = _open.get(parent)
    node = any(tag.startswith(_NODE) for tag in tags)
    own = _name(name, tags, kind=kind, generic=generic, above=above)
    path = (*(above.path if above else ()), *((own,) if own else ()))
    while len(_open) >= OPEN_MAX:
        _open.pop(next(iter(_open)), None)
    _open[run] = _Open(parent, path, is_node=node)


def _name(
    name: str, tags: Sequence[str], *, kind: str, generic: bool, above: _Open | None
) -> str | None:
    """What a step is called in a path; None for what is only machinery around others."""
    if kind:
        return steps.clean_name(f"{kind}:{name}")
    if name in _GRAPH_NAMES:
        return _GRAPH if above is None else None
    if not generic and not name.startswith(_GENERIC) and _HIDDEN not in tags:
        return steps.clean_name(name)
    for tag in tags:
        if tag.startswith(_MAP):
            return steps.clean_name(tag[len(_MAP) :])
        # A node or tool is a sequence too, of one step and its machinery: no step of a chain.
        if tag.startswith(_SEQUENCE) and above is not None and not above.is_node:
            return steps.clean_name(f"step:{tag[len(_SEQUENCE) :]}")
    if above is not None:
        return None
    return steps.clean_name(name) if generic else _CHAIN


def _end(run: object) -> None:
    _open.pop(run, None)


def _told(serialized: Mapping[str, Any] | None, name: str | None) -> tuple[str, bool]:
    """A run's name, and whether it is only its class's."""
    of_class = (serialized or {}).get("name") or ((serialized or {}).get("id") or ["step"])[-1]
    return (name or str(of_class), name is None or name == of_class)


def _handler() -> Any:
    """The handler, made where langchain-core is there to inherit from."""
    from langchain_core.callbacks.base import BaseCallbackHandler

    class NoburnSteps(BaseCallbackHandler):  # type: ignore[misc, unused-ignore]
        """Keeps `_open`.  Errors in it are LangChain's to log, never the program's."""

        # In the caller's own context and thread, also where the caller is a coroutine.
        run_inline = True

        def on_chain_start(
            self, serialized: Any, inputs: Any, *, run_id: Any, parent_run_id: Any = None,
            tags: Sequence[str] | None = None, **more: Any,
        ) -> None:  # fmt: skip
            name, _ = _told(serialized, more.get("name"))
            _begin(run_id, parent_run_id, name, tags or (), generic=False)

        def on_tool_start(
            self, serialized: Any, input_str: str, *, run_id: Any, parent_run_id: Any = None,
            tags: Sequence[str] | None = None, **more: Any,
        ) -> None:  # fmt: skip
            name, _ = _told(serialized, more.get("name"))
            _begin(run_id, parent_run_id, name, tags or (), kind="tool", generic=False)

        def on_retriever_start(
            self, serialized: Any, query: str, *, run_id: Any, parent_run_id: Any = None,
            tags: Sequence[str] | None = None, **more: Any,
        ) -> None:  # fmt: skip
            name, _ = _told(serialized, more.get("name"))
            _begin(run_id, parent_run_id, name, tags or (), kind="retriever", generic=False)

        def on_llm_start(
            self, serialized: Any, prompts: Any, *, run_id: Any, parent_run_id: Any = None,
            tags: Sequence[str] | None = None, **more: Any,
        ) -> None:  # fmt: skip
            name, generic = _told(serialized, more.get("name"))
            _begin(run_id, parent_run_id, name, tags or (), generic=generic)
            _model.set(run_id)

        def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
            self.on_llm_start(serialized, messages, **more)

        def on_chain_end(self, outputs: Any, *, run_id: Any, **more: Any) -> None:
            _end(run_id)

        on_tool_end = on_retriever_end = on_llm_end = on_chain_end

        def on_chain_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
            _end(run_id)

        on_tool_error = on_retriever_error = on_llm_error = on_chain_error

    return NoburnSteps()
