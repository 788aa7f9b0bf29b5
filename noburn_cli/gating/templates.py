"""Jinja templates, rendered as the program would, from files of the repository alone.

Layer: I/O only in what it imports: Jinja2, an extra.  Below: gating.trees, errors.
Above: gating.rendering_child.
A template comes with a pull request, from people who may not be you: it is rendered in Jinja's
sandbox, and cannot reach Python; gating.rendering holds it to memory and time.  What is said of it
may stand in a public comment: only names that stand in a source are repeated, no value of its run.
"""

from __future__ import annotations

import posixpath
import traceback
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from noburn_cli.errors import InputRefused
from noburn_cli.gating.trees import Files
from noburn_cli.inputs import decoded

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

#: Characters that a template may become, and that a text in it may be multiplied to.
CHARS_MAX = 64 * 1024 * 1024


def render(
    tree: Files, name: str, source: str, variables: Mapping[str, Any], *, root: str | None
) -> str:
    """A template's text.

    root: a folder that includes are looked up in first, besides the template's own and the tree's.
    Raises InputRefused, naming every variable that it needs and was not given.
    """
    import jinja2

    sources = _Sources(tree, (root, posixpath.dirname(name)))
    environment = _environment_class()(
        loader=jinja2.FunctionLoader(sources.load),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    sources.note(environment, source)
    try:
        template = environment.from_string(source)
        return _joined(name, template.generate(dict(variables)))
    except InputRefused:
        raise
    except Exception as error:  # noqa: BLE001 -- a template runs what it likes, and fails as it likes
        # `from None`: what the library says repeats values, and a value may be a file's content.
        raise _refused(name, error, sources, given=frozenset(variables)) from None


class _Sources:
    """Where includes are found, and what stands literally in the sources that were read.

    Folders in this order, then from the tree's own top on.
    """

    def __init__(self, tree: Files, folders: tuple[str | None, ...]) -> None:
        self._tree = tree
        self._folders = (*(folder for folder in folders if folder is not None), "")
        self._environment: SandboxedEnvironment | None = None
        self.needed: set[str] = set()
        self.included: set[str] = set()

    def load(self, name: str) -> str | None:
        for folder in self._folders:
            path = posixpath.normpath(posixpath.join(folder, name))
            if not path.startswith(("../", "/")) and self._tree.has(path):
                source = decoded(path, self._tree.read(path))
                if self._environment is not None:
                    self.note(self._environment, source)
                return source
        return None

    def note(self, environment: SandboxedEnvironment, source: str) -> None:
        """Keep the names in a source: a message may repeat these, and no other."""
        from jinja2 import TemplateSyntaxError, meta

        self._environment = environment
        try:
            parsed = environment.parse(source)
            self.needed |= meta.find_undeclared_variables(parsed)
        except (TemplateSyntaxError, RecursionError):  # Said when it is rendered.
            return
        self.included |= {one for one in meta.find_referenced_templates(parsed) if one is not None}


def _refused(
    name: str, error: Exception, sources: _Sources, *, given: frozenset[str]
) -> InputRefused:
    """Why a template has no text, in words of its source alone: never a value of its run."""
    import jinja2

    if isinstance(error, jinja2.UndefinedError):
        missing = sorted(sources.needed - given)
        return InputRefused(
            f"{name} needs what it was not given"
            + (f": {', '.join(f'`{one}`' for one in missing)}" if missing else ""),
            why=_line(error, sources) or "it asks a value for something that is not in it",
            next_step="add it to `variables` of its table",
        )
    if isinstance(error, jinja2.TemplateSyntaxError):
        # The message quotes the source that is wrong: told for the prompt's own file only.
        where = name if error.name is None else error.name
        if error.name is not None:
            shown = f"`{where}`" if where in sources.included else "a template with a computed name"
            return InputRefused(f"{name} includes {shown}, which is no Jinja template")
        return InputRefused(f"{where}:{error.lineno} is no Jinja template", why=str(error.message))
    if isinstance(error, jinja2.TemplateNotFound):
        known = error.name in sources.included
        return InputRefused(
            f"{name} includes `{error.name}`, which is not in the repository"
            if known
            else f"{name} includes a name that is computed, and is not in the repository",
            next_step="say with `root` in which folder includes are looked up",
        )
    why = _WORDS.get(type(error).__name__, type(error).__name__)
    if isinstance(error, _limit_class()):
        why = f"the sandbox refuses {error}"
    return InputRefused(
        f"{name} cannot be rendered", why=": ".join(filter(None, (_line(error, sources), why)))
    )


#: Errors of a run by their class, for whom its name says nothing; never their own messages.
_WORDS = {
    "MemoryError": "it takes more memory than a template is given",
    "RecursionError": "it includes itself, or is nested too deeply",
    "SecurityError": "it reaches for what the sandbox keeps from templates",
}


def _line(error: Exception, sources: _Sources) -> str:
    """`line 3`, where only one source was read; Jinja puts its lines into the traceback."""
    lines = [
        number
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == "<template>"
    ]
    return f"line {lines[-1]}" if lines and not sources.included else ""


def _joined(name: str, pieces: Any) -> str:
    found: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > CHARS_MAX:
            raise InputRefused(f"{name} becomes more than {CHARS_MAX:,} characters")
        found.append(piece)
    return "".join(found)


@cache
def _limit_class() -> type[Exception]:
    """Our own refusals in the sandbox: their words are fixed, and may be shown."""
    from jinja2.exceptions import SecurityError

    class Limit(SecurityError):
        pass

    Limit.__name__ = SecurityError.__name__
    return Limit


@cache
def _environment_class() -> type[SandboxedEnvironment]:
    """Jinja's sandbox, in which `"x" * 10**12` is an error and not the end of the machine."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    limit = _limit_class()

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            sizes = [len(one) if hasattr(one, "__len__") else one for one in (left, right)]
            whole = all(isinstance(size, (int, float)) for size in sizes)
            if operator == "*" and whole and abs(sizes[0] * sizes[1]) > CHARS_MAX:
                raise limit(f"a product of more than {CHARS_MAX:,}")
            if operator == "**" and whole and (abs(sizes[0]) > 1000 or abs(sizes[1]) > 100):
                raise limit("a power of more than 1000 ** 100")
            if operator == "%" and isinstance(left, str):
                raise limit("`%` on a text; use `~` or `{{ … }}`")
            return super().call_binop(context, operator, left, right)

    return Sandbox
