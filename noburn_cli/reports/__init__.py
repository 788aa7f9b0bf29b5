"""What the ledger says, read from its file: who spent what, why a call cost that, what hangs.

Layer: beside ledger_file, below the commands.  Reads the ledger read-only; no daemon is needed.
`query`, `calls`, `orphans` and `verify` read; `totals` and `receipt` compute and are pure.
Not here: how any of it looks (noburn_cli.render).
"""
