"""Sums of the ledger's calls that are kept beside it, so that a report need not read every call.

Layer: reports, I/O.  Below: query (the question), totals, localtime, core.  Above: reports.lines
and reports.costs.
`shape` says what is kept; `changes` turns new rows of the journal into signed lines; `merging` adds
them; `cache` opens the file, binds it to its ledger and catches up; `ranges` cuts a period into
what is kept; `answers` reads.

The file, `reports.sqlite3` beside the ledger, is a cache: whoever reads a report makes it and
brings it up to date, the daemon never touches it, and it may be deleted at any time.
"""
