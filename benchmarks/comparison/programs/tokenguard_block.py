"""cendor-tokenguard: the pre-flight mode, its context carried into the threads as it documents."""

import fifty_calls
from cendor.core import instrument
from cendor.tokenguard import BudgetExceeded, budget

client = instrument(fifty_calls.client())
with budget(usd=fifty_calls.LIMIT_USD, on_exceed="block"):
    fifty_calls.run(
        lambda number: client.chat.completions.create(**fifty_calls.request(number)),
        lambda error: isinstance(error, BudgetExceeded),
    )
