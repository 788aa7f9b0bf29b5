"""Build the wheel: pure Python, or with the daemon's decisions compiled when NOBURN_COMPILE=1.

Used by hatchling (pyproject.toml).  Where mypyc or a C compiler is missing the wheel is pure all
the same, and a warning says so.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WANTED = "NOBURN_COMPILE"


class CompiledWheel(BuildHookInterface[Any]):
    """Puts extension modules beside the modules that they were made from."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What compiling needs in the build's environment; nothing for a pure wheel."""
        if os.environ.get(WANTED) != "1":
            return []
        return ["apsw>=3.51.3", "msgspec>=0.19", "mypy>=1.14", "setuptools>=65"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or os.environ.get(WANTED) != "1":
            return
        self._made = tempfile.TemporaryDirectory(prefix="noburn-wheel-")
        folder = Path(self._made.name) / "compiled"
        try:
            modules = _compile(Path(self.root), folder)
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(f"not compiled, the wheel is pure: {error}")
            return
        for module in modules:
            build_data["force_include"][str(folder / module)] = str(module)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _compile(root: Path, folder: Path) -> list[Path]:
    spec = importlib.util.spec_from_file_location(
        "compile_daemon", root / "tools" / "compile_daemon.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: list[Path] = module.compile_into(folder)
    return made
