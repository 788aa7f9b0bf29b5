"""Simulated time: one timeline for everything, and the event loop that a daemon lives on.

Nothing here waits: time goes on only from one thing that happens to the next.  The loop behaves as
asyncio's does where the daemon can tell: callbacks in order, timers when due, each turn first what
the sockets brought, in any order between them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

SECOND_US = 1_000_000


class Timeline:
    """Microseconds since the simulation began, and what is to happen when."""

    def __init__(self) -> None:
        self.now_us = 0
        self._counter = itertools.count()
        self._due: list[tuple[int, int, Callable[[], object]]] = []

    def after(self, delay_us: int, action: Callable[[], object]) -> None:
        """Let something happen so much later."""
        heapq.heappush(self._due, (self.now_us + delay_us, next(self._counter), action))

    def step(self) -> bool:
        """Let the next thing happen; False when nothing is to come."""
        if not self._due:
            return False
        at_us, _, action = heapq.heappop(self._due)
        self.now_us = max(self.now_us, at_us)
        action()
        return True


class Handle:
    """A callback that is to run, unless it is cancelled."""

    def __init__(self, at_s: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.at_s = at_s
        self.callback = callback
        self.args = args
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.at_s


class SimulatedLoop(asyncio.AbstractEventLoop):
    """What one daemon process runs on, until it dies.

    late_us: how long after something became ready a turn begins; turns meet several arrivals so.
    failed: told what a callback raised.  after_turn: called at the end of every turn.
    """

    def __init__(
        self, timeline: Timeline, chance: random.Random, *, failed: Callable[[Exception], None],
        after_turn: Callable[[], None],
    ) -> None:  # fmt: skip
        self._timeline = timeline
        self._chance = chance
        self._failed = failed
        self._after_turn = after_turn
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._counter = itertools.count()
        #: What sockets and descriptors brought, by which, in order.
        self._arrived: dict[object, list[Handle]] = {}
        self._readers: dict[int, Handle] = {}
        self._turn_at_us: int | None = None
        #: Until when the process is stopped, as by SIGSTOP.
        self.stalled_until_us = 0
        self.is_dead = False
        self._coroutines: list[Any] = []
        #: How many threads are at work.
        self.working = 0

    # What the daemon uses.

    def time(self) -> float:
        return self._timeline.now_us / SECOND_US

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = Handle(self.time(), callback, args)
        self._ready.append(handle)
        self._wake(0)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        """A thread asks for it: some turns may come before."""
        self._timeline.after(
            self._chance.randrange(1, 3_000), lambda: self.arrive(object(), callback, *args)
        )

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self.time() + delay, callback, *args)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = Handle(when, callback, args)
        heapq.heappush(self._timers, (when, next(self._counter), handle))
        self._wake(max(0, round((when - self.time()) * SECOND_US)))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        self._coroutines.append(coro)
        return asyncio.Task(coro, loop=self, **options)

    def die(self) -> None:
        """The process is gone, with all that it meant to do."""
        self.is_dead = True
        for coroutine in self._coroutines:
            coroutine.close()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Run it whole at a later moment: what a thread does is not interleaved with the loop."""
        future = self.create_future()

        def run() -> None:
            if self.is_dead or future.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits it
                self.call_soon(give, None, error)
            else:
                self.call_soon(give, result, None)

        def give(result: Any, error: Exception | None) -> None:
            _give(future, result, error)
            self.call_soon(done)  # behind those who wait for it

        def done() -> None:
            self.working -= 1

        self.working += 1
        self._timeline.after(self._chance.randrange(10, 30_000), run)
        return future

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self._readers[fd] = Handle(0, callback, args)

    def remove_reader(self, fd: Any) -> bool:
        handle = self._readers.pop(fd, None)
        if handle is not None:
            handle.cancel()  # also where it is about to run, as asyncio does
        return handle is not None

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.is_dead

    def is_closed(self) -> bool:
        return self.is_dead

    def call_exception_handler(self, context: Any) -> None:
        if not self.is_dead:  # A dead process's tasks are never done.
            self._failed(context.get("exception") or RuntimeError(context.get("message")))

    # What brings it something.

    def arrive(self, source: object, callback: Callable[..., object], *args: Any) -> None:
        """Something came by a socket."""
        if not self.is_dead:
            self._arrived.setdefault(source, []).append(Handle(0, callback, args))
            self._wake(self._chance.choice((0, 5, 60, 900)))

    def become_readable(self, descriptor: int) -> None:
        """A descriptor with a reader has something to read."""
        handle = self._readers.get(descriptor)
        if handle is not None and not self.is_dead:
            self._arrived.setdefault(descriptor, []).append(handle)
            self._wake(0)

    def _wake(self, delay_us: int) -> None:
        at_us = self._timeline.now_us + delay_us
        if self.is_dead or (self._turn_at_us is not None and self._turn_at_us <= at_us):
            return
        self._turn_at_us = at_us
        self._timeline.after(delay_us, lambda: self._turn(at_us))

    def _turn(self, at_us: int) -> None:
        if self.is_dead or self._turn_at_us != at_us:
            return
        if self._timeline.now_us < self.stalled_until_us:
            self._turn_at_us = None
            self._wake(self.stalled_until_us - self._timeline.now_us)
            return
        self._collect()
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.is_cancelled and not self.is_dead:
                    self._run(handle)
        finally:
            asyncio._set_running_loop(before)
        self._turn_at_us = None
        if self.is_dead:
            return
        self._after_turn()
        if self._ready or self._arrived:
            self._wake(1)
        elif self._timers:
            self._wake(max(1, round((self._timers[0][0] - self.time()) * SECOND_US)))

    def _collect(self) -> None:
        arrived, self._arrived = self._arrived, {}
        sources = list(arrived)
        self._chance.shuffle(sources)
        for source in sources:
            self._ready.extend(arrived[source])
        now_s = self.time()
        while self._timers and self._timers[0][0] <= now_s:
            self._ready.append(heapq.heappop(self._timers)[2])

    def _run(self, handle: Handle) -> None:
        try:
            handle.callback(*handle.args)
        except Exception as error:  # noqa: BLE001 - any of them is a finding
            if not self.is_dead:
                self._failed(error)


def _give(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
