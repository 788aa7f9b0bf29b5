"""One thin module per command: parse, call core or the client, render.

Layer: commands, the top.  Below: everything.  noburn_cli.cli names each module and imports it when
its command is asked for, so a module here may import what it likes without slowing the others down.
"""
