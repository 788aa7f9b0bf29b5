"""floe-guard: its OpenAI adapter, which reserves what the last call cost."""

import fifty_calls
from floe_guard import BudgetExceeded, BudgetGuard
from floe_guard.integrations.openai import guarded_completion

guard, client = BudgetGuard(limit_usd=fifty_calls.LIMIT_USD), fifty_calls.client()
fifty_calls.run(
    lambda number: guarded_completion(guard, client, **fifty_calls.request(number)),
    lambda error: isinstance(error, BudgetExceeded),
)
