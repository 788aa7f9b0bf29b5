"""What people install: sdist and wheel, in an environment that knows nothing of the tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from noburn_cli.version import __version__

ROOT = Path(__file__).resolve().parents[1]
#: Building, and installing from an index, take longer than other tests.
pytestmark = pytest.mark.timeout(600)


def run(*command, **options):
    """Run a command away from the tree, and show what it said when it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NOBURN"))}
    ran = subprocess.run(
        [str(part) for part in command],
        env=environment | options.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        **options,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel built from it, so that the sdist is seen to hold all it needs."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def install(home, requirement):
    """A new environment with one requirement in it; its Python."""
    run(sys.executable, "-m", "venv", home / "venv")
    python = home / "venv" / "bin" / "python"
    uv = Path(sys.executable).parent / "uv"
    installer = (uv, "pip", "install", "--python", python) if uv.exists() else (
        python, "-m", "pip", "install", "--disable-pip-version-check")  # fmt: skip
    run(*installer, "--quiet", requirement, cwd=home)
    return python


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel in an environment of its own: runtime dependencies and nothing else."""
    return install(tmp_path_factory.mktemp("installed"), built[1])


@pytest.fixture(scope="module")
def noburn(installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("away")

    def call(*arguments):
        home = {"NOBURN_HOME": str(folder / "home")}
        return run(installed.with_name("noburn"), *arguments, cwd=folder, env=home)

    return call


def wheel_names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_our_two_packages_and_nothing_else(built):
    tops = {name.partition("/")[0] for name in wheel_names(built[1])}
    assert tops == {"noburn_cli", "noburn_daemon", f"noburn_cli-{__version__}.dist-info"}


def test_every_file_of_the_packages_is_in_the_wheel(built):
    expected = {
        path.relative_to(root).as_posix()
        for root, package in ((ROOT, "noburn_cli"), (ROOT / "daemon", "noburn_daemon"))
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel_names(built[1]) if ".dist-info/" not in name}
    assert packed == expected


def test_the_price_book_is_a_real_file_in_the_wheel(built):
    with zipfile.ZipFile(built[1]) as archive:
        info = archive.getinfo("noburn_cli/data/pricing.toml")
        assert (info.external_attr >> 16) & 0o170000 in (0, 0o100000)
        assert archive.read(info) == (ROOT / "pricing.toml").read_bytes()


def test_the_sdist_brings_tests_docs_and_the_price_book(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "Makefile", "README.md", "pricing.toml", "man/noburn.1"} <= names
    assert {"tests/test_packaging.py", "completions/_noburn", "docs/protocol.md"} <= names
    assert not any(name.startswith((".venv", ".git/", "dist/")) for name in names)


def test_the_installed_command_starts(noburn):
    assert noburn("--version").stdout == f"noburn {__version__}\n"
    assert "Begin here" in noburn("--help").stdout


def test_the_installed_command_knows_its_prices(noburn):
    answer = noburn("margin", "--price", "20", "--tokens", "2M", "--model", "gpt-6.1-sol", "--json")
    rate = json.loads(answer.stdout)["data"]["answers"][0]["rate_dollars_per_million"]
    assert rate == "2"


def test_every_command_loads_without_development_packages(installed, tmp_path):
    code = "from noburn_cli.cli import COMMANDS, load_command\nfor e in COMMANDS: load_command(e)"
    run(installed, "-c", code, cwd=tmp_path)


def test_the_demo_runs_from_the_wheel(installed, tmp_path):
    """Without a key, and without the SDKs, which tests/e2e/test_demo.py plays it with."""
    # A socket's path is short; pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="nb-", dir="/tmp") as home:
        run(installed.with_name("noburn"), "demo", cwd=tmp_path, env={"NOBURN_HOME": home})


def test_names_of_others_are_not_taken(installed, tmp_path):
    code = (
        "from importlib.util import find_spec as f\n"
        "print([n for n in ('daemon', 'noburn', 'noburn_cli', 'noburn_daemon') if f(n)])"
    )
    shown = run(installed, "-c", code, cwd=tmp_path).stdout.strip()
    assert shown == "['noburn_cli', 'noburn_daemon']"


def test_the_packages_are_marked_as_typed(built):
    assert {"noburn_cli/py.typed", "noburn_daemon/py.typed"} <= set(wheel_names(built[1]))
