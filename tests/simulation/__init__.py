"""The whole daemon in one process, on simulated time, disk, network and processes.

`python -m tests.simulation` runs seeds; docs/simulation.md says what is simulated and what not.
"""
