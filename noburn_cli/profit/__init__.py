"""Profit and loss of a home: revenue facts and the ledger, read together.

Layer: profit, I/O.  Below: reports (costs), revenue (facts), core.profit*, core.recognition*.
Above: commands.pnl, dashboard.
"""

from noburn_cli.profit.reading import Question, read

__all__ = ["Question", "read"]
