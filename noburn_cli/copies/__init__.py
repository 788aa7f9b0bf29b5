"""Copies of the ledger's file: made while the daemon writes, checked, and put back.

Layer: beside reports, below the commands.  Below: reports.verify, ledger_file, client, paths.
`backup` makes them, `restore` puts one in the ledger's place, `pause` keeps daemons away meanwhile.
Not here: making the file anew without some of its rows, which the daemon alone does.
"""
