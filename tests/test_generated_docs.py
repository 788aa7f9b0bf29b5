"""Completions, man pages and the reference are what the program says today."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load_generator():
    spec = importlib.util.spec_from_file_location(
        "generate_cli_docs", ROOT / "tools" / "generate_cli_docs.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


generator = load_generator()
MAN_PAGES = sorted((ROOT / "man").glob("*.1"))


@pytest.fixture(scope="module")
def generated():
    return generator.generate()


def test_nothing_generated_is_stale(generated):
    assert generator.stale(generated) == [], "run `make docs`"


def test_a_changed_a_missing_and_a_needless_file_are_stale(generated, tmp_path):
    for name, content in generated.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert generator.stale(generated, root=tmp_path) == []
    (tmp_path / "man" / "noburn.1").write_text("old")
    (tmp_path / "completions" / "noburn.fish").unlink()
    (tmp_path / "man" / "noburn-gone.1").write_text("gone")
    expected = ["completions/noburn.fish", "man/noburn-gone.1", "man/noburn.1"]
    assert generator.stale(generated, root=tmp_path) == expected


def test_every_command_has_its_page(generated):
    pages = {name for name in generated if name.startswith("man/")}
    assert {"man/noburn.1", "man/noburn-margin.1", "man/noburn-budget-set.1"} <= pages
    assert {f"man/{path.name}" for path in MAN_PAGES} == pages


def test_values_are_named_and_no_types_of_python(generated):
    """Goal: `--customer NAME`, and not `<str>` or `{name}`, as where no metavar is given."""
    loose = r"<(?:str|int|float|path|file)[^>]*>|\[OPTIONS\] \{[a-z]+\}"
    assert re.findall(loose, generated["docs/cli-reference.md"]) == []


def render(page):
    """What the system's formatter says about a page; groff exits 0 even with warnings."""
    if shutil.which("groff"):
        command = ["groff", "-ww", "-man", "-Tutf8", "-z", str(page)]
    else:
        command = ["mandoc", "-T", "lint", "-W", "warning", str(page)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("page", MAN_PAGES, ids=lambda page: page.name)
def test_a_page_renders_without_a_warning(page):
    assert render(page) == (0, "")


def test_a_broken_page_is_noticed(tmp_path):
    """Goal: the check above can fail."""
    page = tmp_path / "broken.1"
    page.write_text('.TH BROKEN 1 "" "" ""\n.SH NAME\nbroken \\- page\n.NOSUCHMACRO x\n')
    code, said = render(page)
    assert code != 0 or said


def test_text_cannot_become_a_request():
    page_text = generator.roff(".so /etc/passwd \\fB 'quoted' 20 %–30 %")
    assert page_text.startswith("\\&.so")
    assert "\\fB" not in page_text
    assert page_text.isascii()


@pytest.mark.parametrize(("shell", "name"), sorted(generator.COMPLETIONS.items()))
def test_a_completion_is_valid_in_its_shell(shell, name):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    checked = subprocess.run(
        [program, "-n", str(ROOT / "completions" / name)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_bash_completes_through_the_committed_script(tmp_path):
    """The whole way: a shell sources the file, and completes what a person has typed."""
    bash = shutil.which("bash")
    assert bash is not None
    program = tmp_path / "noburn"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m noburn_cli "$@"\n')
    program.chmod(0o755)
    script = f"""
        source {ROOT / "completions" / "noburn.bash"}
        COMP_WORDS=(noburn mar); COMP_CWORD=1
        _noburn_completion {program}
        echo "${{COMPREPLY[@]}}"
    """
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "daemon"))),
    }
    ran = subprocess.run(
        [bash, "--norc", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stdout.split() == ["margin"]


def completed_by(shell, script, tmp_path):
    """What `script` prints in a shell that finds `noburn` on its PATH; skips without the shell."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "noburn"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m noburn_cli "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "daemon"))),
    }
    quiet = {"zsh": "-f", "fish": "--no-config"}[shell]
    ran = subprocess.run(
        [found, quiet, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout


def test_zsh_completes_at_the_first_tab(tmp_path):
    """Goal: autoloaded from `fpath`, the script completes when it is run the first time."""
    script = f"""
        fpath=({ROOT / "completions"} $fpath); autoload -Uz _noburn
        compdef() {{ registered=$1 }}
        _arguments() {{ print -r -- "$@" }}
        words=(noburn mar); CURRENT=2
        _noburn
        print $registered
    """
    said = completed_by("zsh", script, tmp_path)
    assert '"margin"' in said
    assert '"budget"' not in said
    assert said.split()[-1] == "_noburn_completion"


def test_fish_completes_through_the_committed_script(tmp_path):
    script = f"source {ROOT / 'completions' / 'noburn.fish'}; complete -C 'noburn mar'"
    (line,) = completed_by("fish", script, tmp_path).splitlines()
    assert line.split("\t") == ["margin", "Show what a plan earns after its tokens are paid."]
