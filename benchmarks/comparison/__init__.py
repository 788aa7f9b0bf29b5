"""Budgets of other tools, measured against the repository's own billing provider."""
