"""Jinja templates, rendered as the program would, from files of the repository alone.

Layer: I/O only in what it imports: Jinja2, an extra.  Below: gating.trees, errors.
Above: gating.prompts.
A template comes with a pull request, from people who may not be you: it is rendered in Jinja's
sandbox, and can neither reach Python nor fill the memory.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from noburn_cli.errors import InputRefused
from noburn_cli.gating.documents import missing_extra
from noburn_cli.gating.trees import Tree
from noburn_cli.inputs import decoded

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

#: Characters that a template may become, and that a text in it may be multiplied to.
CHARS_MAX = 64 * 1024 * 1024


def render(
    tree: Tree, name: str, source: str, variables: Mapping[str, Any], *, root: str | None
) -> str:
    """A template's text.

    root: a folder that includes are looked up in first, besides the template's own and the tree's.
    Raises InputRefused, naming every variable that it needs and was not given; NoburnError when
    Jinja2 is not installed.
    """
    try:
        import jinja2
        from jinja2 import meta
    except ImportError as error:
        raise missing_extra("Jinja2", f"{name} is a template") from error
    environment = _environment_class()(
        loader=jinja2.FunctionLoader(_loader(tree, (root, posixpath.dirname(name)))),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    try:
        missing = meta.find_undeclared_variables(environment.parse(source)) - set(variables)
        template = environment.from_string(source)
        return _joined(name, template.generate(dict(variables)))
    except jinja2.UndefinedError as error:
        listed = ", ".join(f"`{one}`" for one in sorted(missing))
        raise InputRefused(
            f"{name} needs what it was not given" + (f": {listed}" if missing else ""),
            why=str(error.message),
            next_step="add it to `variables` of its table",
        ) from error
    except jinja2.TemplateSyntaxError as error:
        where = error.name or name
        raise InputRefused(
            f"{where}:{error.lineno} is no Jinja template", why=str(error.message)
        ) from error
    except jinja2.TemplateNotFound as error:
        raise InputRefused(
            f"{name} includes `{error.name}`, which is not in the repository",
            next_step="say with `root` in which folder includes are looked up",
        ) from error
    except InputRefused:
        raise
    except Exception as error:  # A template runs what it likes, and fails as it likes.
        raise InputRefused(
            f"{name} cannot be rendered", why=f"{type(error).__name__}: {error}"
        ) from error


def _joined(name: str, pieces: Any) -> str:
    found: list[str] = []
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > CHARS_MAX:
            raise InputRefused(f"{name} becomes more than {CHARS_MAX:,} characters")
        found.append(piece)
    return "".join(found)


def _loader(tree: Tree, folders: tuple[str | None, ...]) -> Callable[[str], str | None]:
    """Where an include is found: in the folders, in this order, then from the tree's own on."""

    def load(name: str) -> str | None:
        for folder in (*folders, ""):
            if folder is None:
                continue
            path = posixpath.normpath(posixpath.join(folder, name))
            if not path.startswith(("../", "/")) and tree.has(path):
                return decoded(path, tree.read(path))
        return None

    return load


@cache
def _environment_class() -> type[SandboxedEnvironment]:
    """Jinja's sandbox, in which `"x" * 10**12` is an error and not the end of the machine."""
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            sizes = [len(one) if hasattr(one, "__len__") else one for one in (left, right)]
            whole = all(isinstance(size, (int, float)) for size in sizes)
            if operator == "*" and whole and abs(sizes[0] * sizes[1]) > CHARS_MAX:
                raise SecurityError(f"a product of more than {CHARS_MAX:,}")
            if operator == "**" and whole and (abs(sizes[0]) > 1000 or abs(sizes[1]) > 100):
                raise SecurityError("a power of more than 1000 ** 100")
            if operator == "%" and isinstance(left, str):
                raise SecurityError("`%` on a text; use `~` or `{{ … }}`")
            return super().call_binop(context, operator, left, right)

    return Sandbox
