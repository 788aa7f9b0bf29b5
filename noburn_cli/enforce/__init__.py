"""What stands in front of a call: one guard, its hooks, and the supervisor of `noburn run`.

Layer: enforce.  Below: client, providers, core.  Injected into guests: context, guard, hooks,
httpx_hook, outcome and api; they use the standard library alone and run on Python 3.10.
Not injected: job, launch, supervisor.
"""
