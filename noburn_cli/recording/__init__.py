"""Recorded runs: what `noburn run --recording NAME` keeps, and answers that are played again.

Layer: I/O, our side.  Below: core.recorded_runs and its files, ledger_file, prices.
Above: commands.run, noburn_cli.gating.
"""
