"""The ledger's content for other programs: CSV, JSON lines, Parquet.

Layer: beside reports, below the commands.  Below: ledger_file, core.
`columns` says what is exported and in which order, `reading` reads it in steps, `writing` writes
one format, `job` goes through to the end and can be taken up again.
"""
