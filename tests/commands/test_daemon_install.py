"""`noburn daemon install`: units that systemd takes, written once, and nobody else's touched."""

from __future__ import annotations

import json
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from noburn_cli import paths
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.units import Unit, remove, units_for, write

ODD = Path('/tmp/a b/50%$HOME"q')


def test_install_twice_writes_once_and_uninstall_takes_it_back(home: Any, tmp_path: Path) -> None:
    home.environment["XDG_CONFIG_HOME"] = str(tmp_path)
    folder = tmp_path / "systemd" / "user"
    printed = home.said("daemon", "install", "--print")
    assert "ListenStream=" in printed
    assert not folder.exists()
    shown = home.said("daemon", "install")
    service, socket = sorted(folder.iterdir())
    assert f"{socket}: wrote\n" in shown
    assert f"systemctl --user enable --now {socket.name}\n" in shown
    assert f"ListenStream={paths.socket_path(home.path)}\n" in socket.read_text()
    assert f"--home {home.path}\n" in service.read_text()
    files = json.loads(home.said("daemon", "install", "--json"))["data"]["files"]
    assert set(files.values()) == {"kept"}
    wants = folder / "sockets.target.wants"
    wants.mkdir()
    (wants / socket.name).symlink_to(socket)
    assert f"{socket}: removed\n" in home.said("daemon", "uninstall")
    assert [path.name for path in folder.rglob("*")] == ["sockets.target.wants"]
    assert "no units" in home.said("daemon", "uninstall")
    socket.write_text("[Socket]\nListenStream=/mine\n")
    done = home.noburn("daemon", "install")
    assert (done.returncode, "not written by noburn" in done.stderr) == (1, True)
    assert (service.exists(), "mine" in socket.read_text()) == (False, True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """Goal: names with blanks, percents, dollars and quotes arrive as they are."""
    found = units_for("linux", ODD, [sys.executable, "-m", "x"], {"XDG_CONFIG_HOME": str(tmp_path)})
    for unit in found.units:
        assert write(unit) == "wrote"
    ran = subprocess.run(
        ["systemd-analyze", "--user", "verify", *(str(unit.path) for unit in found.units)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    # Of the machine's own units it may say more, and of a missing man page.
    said = [line for line in ran.stderr.splitlines() if "noburn" in line and "man " not in line]
    assert said == []
    service = found.units[1].text
    assert r'"/tmp/a b/50%%$$HOME\"q"' in service
    assert r'"NOBURN_HOME=/tmp/a b/50%%$HOME\"q"' in service


def test_launchd_reads_the_plist() -> None:
    found = units_for("darwin", ODD, ["/python", "-m", "noburn_daemon"], {})
    (unit,) = found.units
    job = plistlib.loads(unit.text.encode())
    assert job["ProgramArguments"] == ["/python", "-m", "noburn_daemon", "--home", str(ODD)]
    assert job["Sockets"]["Listener"] == {
        "SockPathName": str(ODD / "daemon.sock"),
        "SockPathMode": 0o600,
    }
    assert job["EnvironmentVariables"]["NOBURN_LAUNCHD_SOCKET"] == "Listener"
    assert (job["Umask"], job["Label"]) == (0o077, found.name)


def test_the_default_home_has_the_plain_names() -> None:
    found = units_for("linux", paths.default_home(), ["/python"], {})
    assert [unit.path.name for unit in found.units] == ["noburn.socket", "noburn.service"]
    with pytest.raises(UsageError):
        units_for("linux", Path("/tmp/a\nExecStart=/x"), ["/python"], {})


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "noburn.socket"
    path.write_text("theirs")
    for act in (write, remove):
        with pytest.raises(NoburnError, match="not written by noburn"):
            act(Unit(path, "ours"))
    assert path.read_text() == "theirs"
