"""Which names are OpenAI's own models.

Layer: core (pure, standard library, Python 3.10: it travels into guests).  Below: nothing.
Above: the codecs, core.image_tokens, core.tool_schemas.
"""

from __future__ import annotations

import re

#: OpenAI's own models; other names belong to compatible servers, of whose ways nothing is known.
OPENAI_MODEL = re.compile(
    r"^(openai/|azure/([a-z]+/)?)?(ft:)?(gpt-|chatgpt-|o\d|codex-|computer-use-)"
)
_PREFIXES = re.compile(r"^([a-z_]+/)*(ft:)?")


def bare(model: str) -> str:
    """A model's own name, without a reseller's or a fine-tune's in front."""
    return _PREFIXES.sub("", model)
