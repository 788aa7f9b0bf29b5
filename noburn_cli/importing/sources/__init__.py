"""One reader a source: what its records mean.  Pure; see reading for the seam.

Each module names where its format is from and when that was looked up; docs/import.md repeats it.
"""
