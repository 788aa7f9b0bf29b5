"""agentbudget: one session for all threads, on the client (its README, "Explicit Per-Client")."""

import agentbudget
import fifty_calls
from agentbudget import AgentBudget, BudgetExhausted

# Fifty similar calls are no loop here.
budget = AgentBudget(max_spend=f"${fifty_calls.LIMIT_USD}", max_repeated_calls=1000)
with budget.session() as session:
    client = agentbudget.wrap_client(fifty_calls.client(), session)
    fifty_calls.run(
        lambda number: client.chat.completions.create(**fifty_calls.request(number)),
        lambda error: isinstance(error, BudgetExhausted),
    )
