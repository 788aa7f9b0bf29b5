"""Runs after another's sitecustomize that came first on PYTHONPATH and did not hand over to ours.

Layer: enforce, injected.  Python looks for it only where the user's own packages are in use, so not
in most virtual environments.  Hands over to the usercustomize that would have run without us.
"""

import importlib.machinery
import os

_loader = importlib.machinery.SourceFileLoader(
    "noburn_bootstrap", os.path.join(os.path.dirname(os.path.abspath(__file__)), "sitecustomize.py")
)
_bootstrap = type(os)(_loader.name)
_bootstrap.__file__ = _loader.path
_loader.exec_module(_bootstrap)
_bootstrap.run_the_next("usercustomize")
