"""noburn (the distribution of noburn.dev): check, call, record, with its local cap.

Its server is a hosted service that cannot be reached here: what is measured is the fallback that
its documentation names for that case.
"""

import fifty_calls
from noburn import NoburnGuard

IN_USD, OUT_USD = 2.5e-6, 10e-6  # gpt-4o, a token
guard = NoburnGuard(
    api_key="none", project_id="none", budget_cap_usd=fifty_calls.LIMIT_USD,
    base_url="http://127.0.0.1:9",
)  # fmt: skip
client = fifty_calls.client()


class Blocked(Exception):
    pass


def call(number: int) -> None:
    decision = guard.check(
        model=fifty_calls.MODEL, estimated_tokens_in=20,
        estimated_tokens_out=fifty_calls.OUTPUT_TOKENS,
    )  # fmt: skip
    if decision.blocked:
        raise Blocked(decision.block_reason)
    answer = client.chat.completions.create(**fifty_calls.request(number))
    tokens_in, tokens_out = answer.usage.prompt_tokens, answer.usage.completion_tokens
    guard.record(
        model=fifty_calls.MODEL, tokens_in=tokens_in, tokens_out=tokens_out,
        cost_usd=tokens_in * IN_USD + tokens_out * OUT_USD, was_blocked=False,
    )  # fmt: skip


fifty_calls.run(call, lambda error: isinstance(error, Blocked))
