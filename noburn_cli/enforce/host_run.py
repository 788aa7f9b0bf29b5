"""What a run has around its child: virtual keys, the gateway, the folder of those present.

Layer: enforce, the supervisor's side.  Below: keys, dotenv_keys, lending, gateway, bypass.
Above: supervisor.
Owns: the order in which these are made, started and taken away.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from noburn_cli import protocol
from noburn_cli.client import Client
from noburn_cli.enforce.bypass import ProcessWatch
from noburn_cli.enforce.dotenv_keys import find_keys
from noburn_cli.enforce.gateway.hosted import HostedGateway
from noburn_cli.enforce.gateway.variables import pointed_to, restored
from noburn_cli.enforce.keys import virtual_keys
from noburn_cli.enforce.lending import Lending
from noburn_cli.enforce.strict import STRICT, Enclosure
from noburn_cli.enforce.unprotected import find_unprotected
from noburn_cli.errors import NoburnError

PRESENCE = "NOBURN_PRESENCE"
_PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_DIRECT = "127.0.0.1,localhost"


class RunHost:
    """Made before the child (its keys are lent then), started after it, closed after its end.

    environment: the supervisor's.  keep: variables whose real key the child is to have.
    strict: whether the child is to reach the gateway and nothing else.
    Raises DaemonUnavailable, NoburnError where strict cannot be had, and OSError when this machine
    has no port or folder for us.
    """

    def __init__(
        self,
        run: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        keep: Collection[str] = (),
        strict: bool = False,
    ) -> None:
        if environment.get(STRICT) == "1":
            raise NoburnError(
                "a run inside a strict run cannot be had, so nothing was started",
                why="its gateway would be enclosed with it, and reach no provider",
                next_step="take the inner `noburn run` away: the outer one guards what is in it",
            )
        self._run = run
        #: Where the child is to live, or None for where we are.
        self.enclosure = Enclosure() if strict else None
        base = restored(environment)
        found = find_keys(command, Path.cwd(), base)
        keys = virtual_keys(base, found=found, keep=keep)
        self.unprotected = (*find_unprotected(base), *keys.left)
        outer = environment.get(PRESENCE)
        #: An outer run looks over our processes as well, and in its own folder.
        self._shares_presence = bool(outer and Path(outer).is_dir())
        self._presence = (
            outer if outer and self._shares_presence else tempfile.mkdtemp(prefix="noburn-")
        )
        self.gateway = HostedGateway(None if self.enclosure is None else self.enclosure.socket)
        try:
            self._lending = Lending(run, keys.lent)
        except BaseException:
            self._take_away()
            raise
        self.environment = {
            **base,
            **keys.variables,
            **_no_proxy(base),
            **pointed_to(self.gateway.url, base),
            PRESENCE: self._presence,
            **({STRICT: "1"} if strict else {}),
        }
        self._watch = ProcessWatch(Path(self._presence))

    @property
    def enter(self) -> Callable[[], None] | None:
        """What moves a process to where the child is to live; None where that is here."""
        return None if self.enclosure is None else self.enclosure.enter

    def start(self, environment: Mapping[str, str], *, root: int) -> None:
        """The child runs: threads may now.  environment: the child's; root: its process."""
        self._leave_enclosure()
        self.gateway.start(environment)
        self._lending.start()
        self._watch.start(root)

    def close(self, client: Client) -> None:
        """The child has ended: wait for outcomes, take the keys back, tell what was seen."""
        notes = self._watch.close()
        notes += [("credentials", {"what": what}) for what in self.unprotected]
        self.gateway.close()
        if self.gateway.failure is not None:
            notes.append(("gateway", {"failure": self.gateway.failure}))
        self._lending.close()
        self._remove_presence()
        for kind, detail in notes:
            self._note(client, kind, detail)

    def abandon(self) -> None:
        """There is no child after all."""
        self._lending.close()
        self._take_away()

    def _leave_enclosure(self) -> None:
        if self.enclosure is not None:
            self.enclosure.close()

    def _take_away(self) -> None:
        self._leave_enclosure()
        self.gateway.close()
        self._remove_presence()

    def _remove_presence(self) -> None:
        if not self._shares_presence:
            shutil.rmtree(self._presence, ignore_errors=True)

    def _note(self, client: Client, kind: str, detail: Mapping[str, Any]) -> None:
        # The summary can do without; the child's end is what counts.
        with contextlib.suppress(NoburnError):
            client.request(protocol.RUN_NOTE, run=self._run, kind=kind, detail=dict(detail))


def _no_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """A proxy cannot reach our loopback, so programs must not ask one for the gateway."""
    if not any(environment.get(name) for name in _PROXIES):
        return {}
    changed = {}
    for name in ("no_proxy", "NO_PROXY"):
        before = environment.get(name, "")
        if before != "*":
            changed[name] = f"{before},{_DIRECT}" if before else _DIRECT
    return changed
