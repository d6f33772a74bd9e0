"""The loops of a process. Each survives any one row, and a loop that cannot go on ends its process.

`each` and `contained` keep the failure of one row to that row: it is logged with its traceback, and the others go on.
A `Loop` knows when it last came round. One turn that fails is logged and made again; after a few in a row the loop ends
with an exception, and whoever runs it ends the process, which its supervisor starts anew. `Loops.troubles` tells what
is wrong now, for /health: a server whose loop is dead or stuck does not say that all is well.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from outcrop.errors import MachineTrouble, Unavailable

UNEXPECTED = "Encountered an unexpected error when processing the request, please try again"
"What a customer is told of a defect; the log has the rest."
MOST_FAILURES = 5
"Turns in a row that may fail before the loop ends."
STUCK_S = 120.0
"A turn takes milliseconds; on a machine that is busy with other things, seconds."

Row = TypeVar("Row")
Made = TypeVar("Made")
_log = logging.getLogger("outcrop.loops")


class LoopEnded(MachineTrouble):
    """A loop failed again and again, or ended by itself."""


@dataclass
class Contained:
    """The outcome of a contained block: the error that it raised, if any."""

    error: Exception | None = None


@contextmanager
def contained(log: logging.Logger, what: str) -> Iterator[Contained]:
    """Run a block whose failure is logged with its traceback and goes no further; `error` holds it afterwards."""
    outcome = Contained()
    try:
        yield outcome
    except Exception as error:
        outcome.error = error
        if isinstance(error, Unavailable):
            log.warning("%s waits: %s", what, error)  # every loop says so, as often as it comes round
        else:
            log.error("%s broke", what, exc_info=error)


def each(
    rows: Iterable[Row],
    work: Callable[[Row], Made],
    *,
    log: logging.Logger,
    name: Callable[[Row], str],
    broken: Callable[[Row], object] | None = None,
) -> list[Made]:
    """The results of `work` on the rows, in order, without the rows for which it raises.

    These are logged under their `name` and handed to `broken`, whose own failure is logged too. A row that only waits
    for the database is not: the next round finds it as it was.
    """
    made = []
    for row in rows:
        with contained(log, name(row)) as outcome:
            made.append(work(row))
        if outcome.error is not None and not isinstance(outcome.error, Unavailable) and broken is not None:
            with contained(log, f"marking {name(row)}"):
                broken(row)
    return made


class Loop:
    """A supervised loop: `turn` goes around what it does each time it comes round."""

    def __init__(self, name: str, *, stuck_s: float = STUCK_S, now: Callable[[], float] = time.monotonic) -> None:
        """`stuck_s`: so long it may take from one good turn to the next, its pauses included."""
        self.name = name
        self.failures = 0
        "Turns that failed in a row."
        self.ended = False
        self._stuck_s = stuck_s
        self._now = now
        self._came_round = now()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Run one turn. A failure is logged; raises LoopEnded when it was one too many in a row.

        What a person must mend (a full disk, a locked database) never ends the loop: starting anew would not help.
        """
        with contained(_log, f"loop {self.name}") as outcome:
            yield
        if outcome.error is None:
            self.failures = 0
            self._came_round = self._now()
            return
        self.failures += 1
        if self.failures >= MOST_FAILURES and not isinstance(outcome.error, MachineTrouble | OSError):
            self.ended = True
            raise LoopEnded(
                f"The loop {self.name} failed {self.failures} times in a row. The log has the details."
            ) from outcome.error

    @property
    def trouble(self) -> str | None:
        """A sentence about what is wrong with the loop, or None."""
        if self.ended:
            return "it has ended"
        since = self._now() - self._came_round
        if since > self._stuck_s:
            return f"it has not come round for {since:.0f} s"
        return None


class Loops:
    """The loops of one process."""

    def __init__(self) -> None:
        self._loops: dict[str, Loop] = {}

    def add(self, name: str, *, stuck_s: float = STUCK_S) -> Loop:
        loop = self._loops[name] = Loop(name, stuck_s=stuck_s)
        return loop

    async def run(
        self, name: str, turn: Callable[[], Awaitable[Any]], *, every_s: float, stuck_s: float = STUCK_S
    ) -> None:
        """Make a turn, pause, and so on until cancelled. Raises LoopEnded when it cannot go on."""
        loop = self.add(name, stuck_s=stuck_s + every_s)
        try:
            while True:
                with loop.turn():
                    await turn()
                await asyncio.sleep(every_s)
        finally:
            loop.ended = True

    def troubles(self) -> dict[str, str]:
        """The troubles of the loops, by the loop's name; empty when all come round."""
        return {name: loop.trouble for name, loop in self._loops.items() if loop.trouble is not None}

    def told(self) -> dict[str, dict[str, Any]]:
        """The state of each loop, for those who may see details."""
        return {
            name: {"ok": loop.trouble is None, "failures": loop.failures, "trouble": loop.trouble}
            for name, loop in self._loops.items()
        }
