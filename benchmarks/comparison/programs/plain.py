"""The SDK as it is; whatever keeps the budget stands between it and the provider."""

import fifty_calls

client = fifty_calls.client()
fifty_calls.run(
    lambda number: client.chat.completions.create(**fifty_calls.request(number)),
    fifty_calls.status_is(400, 402, 403, 422, 429),
)
