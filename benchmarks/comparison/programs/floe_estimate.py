"""floe-guard: reserve() with an estimate that the program makes itself, then settle()."""

import fifty_calls
from floe_guard import BudgetExceeded, BudgetGuard

#: 400 output tokens of gpt-4o and some input, in dollars: at least what a call costs.
ESTIMATE_USD = 0.0042
guard, client = BudgetGuard(limit_usd=fifty_calls.LIMIT_USD), fifty_calls.client()


def call(number: int) -> None:
    reserved = guard.reserve(ESTIMATE_USD)
    try:
        answer = client.chat.completions.create(**fifty_calls.request(number))
    except BaseException:
        guard.release(reserved)
        raise
    usage = answer.usage
    guard.settle(fifty_calls.MODEL, usage.prompt_tokens, usage.completion_tokens, reserved=reserved)


fifty_calls.run(call, lambda error: isinstance(error, BudgetExceeded))
