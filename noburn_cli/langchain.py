"""Which step of a LangChain or LangGraph program each call belongs to, in one line.

Layer: the public face of enforce.langchain_steps.  Under `noburn run` it is in place by itself; a
program that is guarded by `noburn_cli.wrap` calls `noburn_cli.langchain.instrument()` once, with
langchain-core installed (the extra `langchain`).  Every call then has a `step`, a path such as
`graph/research/tool:search`, which `noburn report --by step` shows as a tree.
"""

from noburn_cli.enforce.langchain_steps import instrument

__all__ = ["instrument"]
