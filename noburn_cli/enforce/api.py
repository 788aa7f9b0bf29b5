"""The guard in code: who a call is for, a client guarded without `noburn run`, what is left.

Layer: enforce, injected (standard library, Python 3.10).  Below: context, drivers, httpx_hook.
Above: noburn_cli, which exports `attribute`, `wrap`, `remaining` and `aremaining`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, TypeVar

from noburn_cli.core.budgets import check_attributes
from noburn_cli.core.money import Nano, parse_limit
from noburn_cli.enforce import context
from noburn_cli.enforce.drivers import async_client, sync_client
from noburn_cli.enforce.policy import policy
from noburn_cli.errors import UsageError
from noburn_cli.protocol import TAG_PREFIX

_Client = TypeVar("_Client")


class attribute:  # noqa: N801 - used as a verb, like contextlib's own
    """Say who the calls made inside are for, and give this block of work a budget of its own.

        with noburn_cli.attribute(customer="acme", feature="research", job="j-17", budget="0.50"):
            ...

    customer, feature, project, user, job: names; they overlay those of an outer block.
    step: where in the program this is; inside another step it is the inner part of a path,
        `research/summary`.  A name out of a small set: the ledger keeps each path it has seen.
    tags: free tags by name.
    budget: a limit on this job (`0.50`, `$5`, `2Mtok`, `100req`); without `job` the block is a new
        job.  The limit is the job's, so a job that is entered again goes on with what it has left.
    Works with `with` and `async with`, in threads and tasks; context variables carry it.
    Raises UsageError for a name or a limit that cannot be used, DaemonUnavailable when the limit
    cannot be set.
    """

    def __init__(
        self,
        *,
        customer: str | None = None,
        feature: str | None = None,
        project: str | None = None,
        user: str | None = None,
        job: str | None = None,
        step: str | None = None,
        tags: Mapping[str, str] | None = None,
        budget: str | float | Decimal | None = None,
    ) -> None:
        self._limit = None if budget is None else parse_limit(_written_out(budget))
        if self._limit is not None and job is None:
            job = f"block-{secrets.token_hex(8)}"
        self._changes = _named(
            tags, customer=customer, feature=feature, project=project, user=user, job=job, step=step
        )

    def __enter__(self) -> attribute:
        if self._limit is not None:
            sync_client().budget_set(**self._budget_fields())
        context.push(self._changes)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        context.pop(self._changes)

    async def __aenter__(self) -> attribute:
        if self._limit is not None:
            await async_client().budget_set(**self._budget_fields())
        context.push(self._changes)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        context.pop(self._changes)

    def _budget_fields(self) -> dict[str, Any]:
        assert self._limit is not None
        return {
            "scope": f"job={self._changes['job']}",
            "per": "total",
            "limit": {"unit": self._limit.unit, "amount": self._limit.amount},
            "override": False,
        }


def _named(tags: Mapping[str, str] | None, **names: str | None) -> dict[str, str]:
    """Attributes as the daemon knows them.  Raises UsageError for one that cannot be."""
    found = {name: str(value) for name, value in names.items() if value is not None}
    found.update({f"{TAG_PREFIX}{key}": str(tag) for key, tag in (tags or {}).items()})
    if empty := [name for name, value in found.items() if not value.strip()]:
        raise UsageError(f"the attribute {empty[0]} is empty", next_step="leave it out")
    return check_attributes(found)


def _written_out(amount: str | float | Decimal) -> str:
    """An amount as a person writes it: 0.00001 and not 1e-05."""
    if isinstance(amount, str):
        return amount
    return f"{Decimal(str(amount)):f}"


def wrap(client: _Client, *, api: str | None = None, base_url: str | None = None) -> _Client:
    """Guard a client in a program that `noburn run` did not start; returns the same client.

    client: of openai, anthropic, groq, google-genai, mistralai or boto3 (bedrock-runtime), sync or
        async, or a plain client or session of httpx, httpx2, requests or aiohttp.
    api: `openai`, `anthropic`, `google`, `mistral`, `bedrock` or `cohere`, and
    base_url: for a plain client that calls another URL than the provider's own.
    Whatever base URL an SDK's client has is guarded as the provider's; copies made with its
    `with_options` share its connection and its guard.  Wrapping again changes nothing.
    Raises UsageError for anything else.
    """
    from noburn_cli.enforce import wrapping  # The hooks, which few programs need all of.

    policy()  # Read now: not inside a program's event loop, at its first call.
    wrapping.mark(client, api=api, base_url=base_url)
    return client


@dataclass(frozen=True)
class Remaining:
    """What the budgets that apply here have left; None where no budget of that unit applies.

    nano: nano-dollars.  tokens, requests: counts.  budgets: each account as the daemon tells it.
    Never negative: a budget that is over has 0 left.
    """

    nano: int | None
    tokens: int | None
    requests: int | None
    budgets: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def dollars(self) -> Decimal | None:
        """What is left in dollars, exactly."""
        # From its digits: arithmetic would round in a context that belongs to the program.
        return None if self.nano is None else Decimal(Nano(self.nano).exact())


def remaining(
    *,
    customer: str | None = None,
    feature: str | None = None,
    project: str | None = None,
    user: str | None = None,
    job: str | None = None,
    step: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Remaining:
    """What is left for calls made here and now, so that an agent can plan within its money.

    The arguments are those of `attribute`, to ask for somebody else.
    Raises DaemonUnavailable.
    """
    asked = _named(
        tags, customer=customer, feature=feature, project=project, user=user, job=job, step=step
    )
    return _remaining(sync_client().remaining(attrs={**context.attributes(), **asked}))


async def aremaining(
    *,
    customer: str | None = None,
    feature: str | None = None,
    project: str | None = None,
    user: str | None = None,
    job: str | None = None,
    step: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Remaining:
    """The same, without blocking the event loop."""
    asked = _named(
        tags, customer=customer, feature=feature, project=project, user=user, job=job, step=step
    )
    reply = await async_client().remaining(attrs={**context.attributes(), **asked})
    return _remaining(reply)


def _remaining(reply: Mapping[str, Any]) -> Remaining:
    def left(unit: str) -> int | None:
        amount = reply.get(f"left_{unit}")
        return None if amount is None else max(0, int(amount))

    return Remaining(
        left("nano"), left("tokens"), left("requests"), tuple(reply.get("accounts", ()))
    )
