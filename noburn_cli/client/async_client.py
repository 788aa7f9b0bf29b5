"""The daemon's client for event loops (first for asyncio's; see channel)."""

from __future__ import annotations


class AsyncClient:
    pass
