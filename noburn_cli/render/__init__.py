"""How results look: tables and JSON.

Layer: render.  Below: core (for its types).  Above: commands.  Data goes to standard output, and
everything else (progress, hints, warnings) to standard error.
"""
