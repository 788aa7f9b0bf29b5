"""An environment for each group of tools, with the versions that were measured."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

#: Together where their requirements agree.  (Versions of 2026-11-27.)
ENVIRONMENTS = {
    "sdk": (
        *("openai==3.57.0", "agentbudget==0.4.0", "cendor-tokenguard==1.8.0"),
        *("floe-guard==0.25.2", "noburn==0.2.0", "burnlens==1.27.0", "agentcents==1.1.3"),
    ),
    "litellm": ("litellm[proxy]==1.108.7", "redis==8.1.0"),
}


def main() -> int:
    folder = Path(sys.argv[1])
    for name, packages in ENVIRONMENTS.items():
        venv.create(folder / name, with_pip=True)
        pip = [str(folder / name / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *packages], check=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
