"""Compile the daemon's decisions with mypyc: an optional step, for those who need the speed.

    python tools/compile_daemon.py [FOLDER]

Makes FOLDER (build/compiled) hold a copy of noburn_daemon in which the modules that every call
passes are extension modules as well.  Python prefers them where FOLDER comes first:

    PYTHONPATH=build/compiled python -m noburn_daemon

Needs mypy and setuptools (of the set `dev`) and a C compiler; 30 s.  hatch_build.py puts the same
into the wheel when NOBURN_COMPILE=1 is set, which stays pure otherwise.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "noburn_daemon"
#: What a reserve and a settle pass, without what belongs to the event loop.
MODULES = (
    "account", "accounts", "admission", "book", "calls", "ending", "names", "overages", "pricing",
    "replies", "reserving", "rolling", "rows", "runs", "soft", "waiting",
)  # fmt: skip
_SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup
setup(
    name="noburn-daemon-compiled", packages=[],
    ext_modules=mypycify(["--strict", *sys.argv.pop().split(",")], opt_level="{level}",
                         debug_level="0", group_name="noburn_daemon"),
    script_args=["-q", "build_ext", "--inplace"],
)
"""


def compile_into(folder: Path, *, level: str = "3") -> list[Path]:
    """Make `folder` hold the compiled copy; the extension modules in it, relative to it.

    level: the C compiler's, 0 to 3.  Raises subprocess.CalledProcessError where mypyc or the
    compiler fail, or are missing; then `folder` is as it was.
    """
    with tempfile.TemporaryDirectory(prefix="noburn-compile-") as made:
        work = Path(made) / "work"
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / "daemon" / PACKAGE, work / PACKAGE, ignore=ignored)
        (work / "noburn_cli").symlink_to(ROOT / "noburn_cli", target_is_directory=True)
        (work / "setup.py").write_text(_SETUP.replace("{level}", level), encoding="utf-8")
        sources = [f"{PACKAGE}/{name}.py" for name in MODULES]
        found = [source for source in sources if (work / source).exists()]
        subprocess.run(
            [sys.executable, "setup.py", ",".join(found)],
            cwd=work, check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "MYPYPATH": str(work)},
        )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(
            work, folder, ignore=shutil.ignore_patterns("build", "setup.py", "noburn_cli", ".*")
        )
    return sorted(path.relative_to(folder) for path in folder.rglob("*.so"))


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "compiled"
    try:
        made = compile_into(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"not compiled: {error}; the daemon runs as it is", file=sys.stderr)
        return 1
    print(f"{len(made)} extension modules in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
