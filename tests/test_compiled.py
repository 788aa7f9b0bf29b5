"""The daemon's decisions compiled: the same tests hold; without a compiler the wheel is pure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import compile_daemon

ROOT = Path(__file__).resolve().parents[1]
#: Against simpler models.
SAME_TESTS = (
    "test_admission.py", "test_book_model.py", "test_book_edges.py", "test_book_windows.py",
    "test_soft_budgets.py",
)  # fmt: skip
_WHERE = (
    "from noburn_daemon import admission, reserving, sqlite;"
    "print(admission.__file__, reserving.__file__, sqlite.__file__)"
)

pytestmark = pytest.mark.timeout(600)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_compiled_decisions_are_the_same(tmp_path: Path) -> None:
    """Goal: what the models say of the modules as they are holds for them compiled."""
    folder = tmp_path / "compiled"
    modules = compile_daemon.compile_into(folder, level="0")
    assert len(modules) > 10
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    asked = [sys.executable, "-c", _WHERE]
    ran = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    admission, reserving, sqlite = ran.stdout.split()
    assert (admission[-3:], reserving[-3:], sqlite[-3:]) == (".so", ".so", ".py")
    tests = [ROOT / "tests" / "daemon" / name for name in SAME_TESTS]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
         "-o", f"pythonpath={folder} {ROOT}", *(str(test) for test in tests if test.exists())],
        env={**environment, "NOBURN_TEST_DAEMON": str(folder)}, cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_without_a_compiler_the_wheel_is_pure(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path),
         str(ROOT)],
        env={**os.environ, "NOBURN_COMPILE": "1", "CC": "/nowhere/cc"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "the wheel is pure" in ran.stdout + ran.stderr
    (wheel,) = tmp_path.glob("*-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
