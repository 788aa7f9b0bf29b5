"""Revenue: what customers were billed, brought from Stripe or a file, and kept beside the ledger.

Layer: our side, I/O.  Below: core.revenue, core.currencies, paths, config_files.
Above: commands.importing, noburn_cli.profit.
"""
