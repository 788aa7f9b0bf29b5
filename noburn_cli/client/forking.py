"""What holds sockets forgets them in a forked child.

Layer: client.  Below: nothing of ours.  Above: pool and channel.
A child that kept its parent's connections would read the parent's replies, speak in the parent's
name (the daemon knows a process by its connection), and hide the parent's death from the daemon.
"""

from __future__ import annotations

import os
import weakref


class Inherited:
    """Something that must not be used on after a fork."""

    def drop_inherited(self) -> None:
        """In the child: close our copies of the sockets, and nothing that the parent shares."""
        raise NotImplementedError


_holders: weakref.WeakSet[Inherited] = weakref.WeakSet()


def watch(holder: Inherited) -> None:
    """Have `holder.drop_inherited` called in every child from now on, as long as it lives."""
    _holders.add(holder)


def _after_in_child() -> None:
    for holder in list(_holders):
        holder.drop_inherited()


os.register_at_fork(after_in_child=_after_in_child)
