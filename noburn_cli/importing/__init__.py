"""What other programs recorded of LLM calls, brought into one file beside the ledger.

Layer: beside reports and export, below the commands.  Below: core, providers, reconcile, FILES.
splitting, opening: a file as records, in flat memory; fields, tokens, mapping: what a record says;
sources: one reader a source; store, writing, batches: `imports.sqlite3`; job: an import;
detecting: coding agents' logs on this machine, read and added up without any file of ours.

Prompts and answers are never kept: a reader takes ids, times, names, counts and costs.
"""
