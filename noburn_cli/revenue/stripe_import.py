"""`noburn import stripe`: one import, from the first request to the last fact.

Layer: revenue.  Below: revenue.stripe_pass, stripe_changes, stripe_deriving, store.
Above: commands.importing.stripe_account, revenue.stripe_webhook.
Owns: the order of the steps.  Each step's result is in the file before the next begins, so that an
import that was killed at any moment goes on where it was; doing a step twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from noburn_cli.revenue.rating import stored_rates
from noburn_cli.revenue.store import RevenueStore
from noburn_cli.revenue.stripe_api import StripeApi
from noburn_cli.revenue.stripe_changes import Changes
from noburn_cli.revenue.stripe_deriving import Deriving
from noburn_cli.revenue.stripe_keeping import Keeping
from noburn_cli.revenue.stripe_lines import Keys
from noburn_cli.revenue.stripe_pass import (
    EVENTS_KEPT_S,
    LISTS,
    OVERLAP_S,
    Pass,
    Reader,
    last_done_s,
    unfinished_pass,
)
from noburn_cli.revenue.stripe_shapes import Shapes

#: So many roots are made anew in one transaction.
_BATCH = 200
_KEYS = "metadata keys"


@dataclass(frozen=True)
class Imported:
    """What an import did.

    resumed: it went on with one that was broken off.  first: there was none before.
    roots: invoices and charges whose facts were made anew.
    until_s: what was made at Stripe before that moment is here, epoch seconds.
    """

    resumed: bool
    first: bool
    roots: int
    until_s: int


class StripeImport:
    """Imports one account's figures in one mode.  tell: called with (how many, of what)."""

    def __init__(
        self, api: StripeApi, store: RevenueStore, keys: Keys, tell: Callable[[int, str], None]
    ) -> None:
        self.api = api
        self.store = store
        self._keys = keys
        self._tell = tell
        self._reader = Reader(api, store, Shapes(keys.all()), tell)
        self.changes = Changes(api, store, self._reader, tell)

    def run(self, *, since_s: int | None = None, look_back_s: int = 0) -> Imported:
        """Bring everything that is new or changed.

        since_s: list what was made from then on, epoch seconds; None for everything in the first
            import, and for what is new in later ones.
        Raises NoburnError; what was kept until then stays, and the next import goes on there.
        """
        self._check_keys()
        found = unfinished_pass(self.store, self.api.source)
        last_s = last_done_s(self.store, self.api.source)
        done = self._pass(found or self._begun(last_s, since_s), last_s, look_back_s)
        if found is not None and self.api.clock_s - done.until_s > OVERLAP_S:
            # What was broken off is whole now, as of then; and what came since?
            roots = done.roots
            done = self._pass(self._begun(done.until_s, since_s), done.until_s, look_back_s)
            done = replace(done, roots=roots + done.roots)
        return replace(done, resumed=found is not None, first=last_s is None)

    def _pass(self, one: Pass, last_s: int | None, look_back_s: int) -> Imported:
        self._reader.read(one)
        if last_s is not None:
            self.changes.find(one, last_s, look_back_s=look_back_s)
        roots = self.catch_up()
        self._reader.end(one)
        return Imported(False, last_s is None, roots, one.until_s)

    def _begun(self, last_s: int | None, since_s: int | None) -> Pass:
        if last_s is None:
            self.api.check_permissions([listing.path for listing in LISTS])
        self.api.ask("/v1/events", limit=1)  # Stripe's clock.
        now_s = self.api.clock_s
        since = since_s or 0
        if last_s is not None:
            since = min(last_s - OVERLAP_S, last_s if since_s is None else since_s)
        since = max(0, since)
        events = last_s is not None and now_s - last_s < EVENTS_KEPT_S
        one = Pass(since, now_s, names_s=since if events or last_s is None else 0)
        self._reader.begin(one)
        return one

    def _check_keys(self) -> None:
        """Other metadata keys than before: what they say was not kept, so all is read again."""
        said = ",".join(self._keys.all())
        before = self.store.cursor(self.api.source, _KEYS)
        if before == said:
            return
        with self.store.change():
            if before is not None:
                for name in ("pass", "done"):
                    self.store.set_cursor(self.api.source, name, None)
            self.store.set_cursor(self.api.source, _KEYS, said)

    def derive(self) -> int:
        """Make the facts of every stale root anew; how many there were."""
        return derive(self.store, self.api.source, self._keys, self._tell)

    def catch_up(self) -> int:
        """Ask for what events named, and make its facts anew; how many roots there were."""
        self.changes.fetch()
        return self.derive()


def derive(store: RevenueStore, source: str, keys: Keys, tell: Callable[[int, str], None]) -> int:
    """Make the facts of every stale root of a source anew; how many there were."""
    keeping = Keeping(store, source)
    deriving = Deriving(keeping, keys, stored_rates(store))
    done = 0
    while True:
        rows = store.rows("SELECT root FROM dirty WHERE source = ? LIMIT ?", source, _BATCH)
        if not rows:
            return done
        with store.change():
            for (root,) in rows:
                store.replace(source, root, deriving.facts(root))
                store.connection.execute(
                    "DELETE FROM dirty WHERE source = ? AND root = ?", (source, root)
                )
        done += len(rows)
        tell(done, "invoices and charges")
