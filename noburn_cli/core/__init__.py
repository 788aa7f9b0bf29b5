"""Pure rules: money, usage, prices, bounds, budgets, economics.  No file, socket, clock or environment."""
