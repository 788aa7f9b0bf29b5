"""Every error a person can meet, with its exit code.

Layer: the lowest; imports nothing of ours and runs on Python 3.10 (it travels into guests).
The documented exit codes are DESIGN's: 0 done, 1 failed, 2 wrong usage, 3 ended by noburn for a
limit, 4 daemon or ledger not available.  `main()` alone turns an error into an exit code.

    NoburnError (1)
    ├── UsageError (2)            the person asked for something that cannot be meant
    ├── InputRefused (1)          a file, prompt or request body cannot be read
    ├── ModelUnknown (1)          no row in the price book; never free
    ├── PriceUnknown (1)          the row lacks a rate that is needed
    ├── PriceBookInvalid (1)      a price file breaks its own rules
    ├── CallUnbounded (1)         nothing caps what this call may cost
    ├── PolicyChanged (1)         the budgets are no longer those that a plan was made against
    ├── KeyUnknown (1)            a virtual key that nobody lends any more
    ├── LimitReached (3)          noburn ended it for a limit
    │   └── BudgetExceeded (3)    a call does not fit a budget
    └── Unavailable (4)
        ├── DaemonUnavailable (4)
        ├── FrameRefused (4)      the peer does not speak our protocol
        └── LedgerUnavailable (4)
"""

from __future__ import annotations


class NoburnError(Exception):
    """Something a person can act on: what happened, why, what to do next.

    may_retry: whether the very same request can succeed later.
    """

    exit_code = 1
    may_retry = False

    def __init__(self, message: str, *, why: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.next_step = next_step

    def lines(self) -> list[str]:
        """The error as shown on stderr: `error:`, `why:` and `next:`, each where there is one."""
        shown = [f"error: {self.message}"]
        if self.why:
            shown.append(f"  why: {self.why}")
        if self.next_step:
            shown.append(f" next: {self.next_step}")
        return shown


class UsageError(NoburnError):
    exit_code = 2


class InputRefused(NoburnError):
    pass


class ModelUnknown(NoburnError):
    pass


class PriceUnknown(NoburnError):
    pass


class PriceBookInvalid(NoburnError):
    pass


class CallUnbounded(NoburnError):
    pass


class PolicyChanged(NoburnError):
    pass


class KeyUnknown(NoburnError):
    pass


class LimitReached(NoburnError):
    exit_code = 3


class BudgetExceeded(LimitReached):
    pass


class Unavailable(NoburnError):
    exit_code = 4
    may_retry = True


class DaemonUnavailable(Unavailable):
    pass


class FrameRefused(Unavailable):
    may_retry = False


class LedgerUnavailable(Unavailable):
    pass
