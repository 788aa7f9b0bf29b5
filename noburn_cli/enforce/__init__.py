"""What stands in front of a call: one guard, its hooks, and the supervisor of `noburn run`.

Layer: enforce.  Below: client, providers, core.  Injected into guests: guard, what it stands
on, the hooks of each HTTP stack and api; they use the standard library alone and run on Python
3.10.  Not injected: the supervisor, the gateway and what they stand on (tests/test_architecture.py
has the list).
"""
