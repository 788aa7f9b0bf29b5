"""What `noburn gate` reads and counts: prompts in files and in git, and the ledger's calls.

Layer: I/O.  Below: estimating, inputs, learning, reports, prices, core.gate_*.
Above: commands.gate.
"""
