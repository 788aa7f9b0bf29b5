"""What the ledger says, read from its file: who spent what, why a call cost that, what hangs,
what past calls say of the next one, and how far that was off.

Layer: beside ledger_file, below the commands.  Reads the ledger read-only; no daemon is needed.
`query`, `calls`, `orphans`, `verify`, `learned` and `calibration` read; `totals` and `receipt`
compute and are pure.
Not here: how any of it looks (noburn_cli.render).
"""
