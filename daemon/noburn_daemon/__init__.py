"""The daemon: the one writer of the ledger, and what decides whether a call may leave."""
