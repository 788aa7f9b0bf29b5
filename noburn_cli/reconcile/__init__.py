"""Reconciling the ledger with what the providers say they billed.

Layer: beside reports, below the commands.  Below: core, reports.reading.
bill: what a provider's export says; formats: which export a file is; openai_*, anthropic_*,
mapped_csv: each export; live: fetched from the providers; ours: the ledger's side;
comparing: both made comparable; matching: the two side by side, with the reasons; entries: what
would make them equal.
"""
