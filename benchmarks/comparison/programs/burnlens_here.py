"""burnlens with another address for OpenAI: its own is fixed in the code (1.27.0)."""

import dataclasses
import os
import sys

from burnlens.cli import app
from burnlens.providers.openai import OpenAIProvider

OpenAIProvider.config = dataclasses.replace(
    OpenAIProvider.config, upstream_url=os.environ["UPSTREAM"]
)
sys.exit(app())
