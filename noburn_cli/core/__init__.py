"""Pure rules: money, usage, prices, bounds, budgets, economics; no file, socket, clock."""
