"""The loopback gateway: the guard as an HTTP server, for programs that cannot be hooked.

Layer: enforce, our own side (aiohttp, never injected).  Below: guard, drivers, outcome, context.
Its parts: routes (where a request goes), credentials and attributes of a request (asked), moving
bytes (forward), the server (server), the process (__main__), starting it for a run (hosted).
"""
