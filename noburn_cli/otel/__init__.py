"""The ledger's calls as OpenTelemetry traces and metrics.

Layer: beside export, below the commands.  Below: ledger_file, core.
`conventions` has the names, `identity` the ids, `reading` reads what happened after a row of the
journal, `spans` and `sums` make spans and counts of it, `metrics` the data points, `destinations`
write them to files or send them, `cursor` remembers how far that went, `job` does it all in steps.
"""
