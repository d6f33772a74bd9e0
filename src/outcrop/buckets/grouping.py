"""Changes that are waiting at the same time share one transaction, and so one wait for the disk.

Whoever comes while a commit is on its way queues up; the first of them then makes the changes of all who wait, and
wakes them when they are on the disk. A hundred uploads at once cost a few commits; one alone costs what it did.
Tasks of the event loop queue up beside threads: one thread makes the changes of them all, so that waking threads does
not cost more than the changes.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy.engine import Connection, Engine

from outcrop.errors import Refusal
from outcrop.store import fence
from outcrop.store.database import is_writing, writing

T = TypeVar("T")
Change = Callable[[Connection], T]
"""It refuses before it writes anything, and may be made once more when the transaction of all failed."""
_MOST = 64


@dataclass(eq=False)
class _Waiting:
    change: Change[Any]
    is_done: bool = False
    done: Callable[[], None] | None = None
    "Tells a task, which unlike a thread does not wait for its turn."
    result: Any = None
    error: BaseException | None = None

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


class Grouping:
    """The changes of one room to one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._queue: list[_Waiting] = []
        self._queue_lock = threading.Lock()
        self._for_tasks = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._is_for_tasks_busy = False

    def make(self, change: Change[T]) -> T:
        """Make the change, perhaps with others; returns when it is on the disk. Raises what it raises."""
        # What a fence holds is written under that fence: in a transaction of others nobody would look at it.
        if is_writing(self._engine) or fence.is_fenced():
            with writing(self._engine) as connection:
                return change(connection)
        waiting = _Waiting(change)
        with self._queue_lock:
            self._queue.append(waiting)
        with self._turn:
            if not waiting.is_done:
                self._make_all(self._taken())
            while not waiting.is_done:  # more were waiting than one transaction takes
                self._make_all(self._taken())
        return cast("T", waiting.outcome())

    async def made(self, change: Change[T]) -> T:
        """`make` for a task. When it is cancelled, its change is made all the same."""
        loop = asyncio.get_running_loop()
        on_disk = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended, and the task with it
                loop.call_soon_threadsafe(on_disk.set)

        waiting = _Waiting(change, done=tell)
        with self._queue_lock:
            self._queue.append(waiting)
            if not self._is_for_tasks_busy:
                self._is_for_tasks_busy = True
                self._for_tasks.submit(self._make_until_none_waits)
        await on_disk.wait()
        return cast("T", waiting.outcome())

    def _make_until_none_waits(self) -> None:
        while True:
            with self._turn:
                self._make_all(self._taken())
            with self._queue_lock:
                if not self._queue:
                    self._is_for_tasks_busy = False
                    return

    def _taken(self) -> list[_Waiting]:
        with self._queue_lock:
            taken, self._queue = self._queue[:_MOST], self._queue[_MOST:]
        return taken

    def _make_all(self, group: list[_Waiting]) -> None:
        if not group:
            return
        try:
            with writing(self._engine) as connection:
                for waiting in group:
                    _make(connection, waiting)
        except BaseException:
            # One of them broke the transaction: each gets one of its own, and the one its error.
            for waiting in group:
                self._make_alone(waiting)
        for waiting in group:
            waiting.is_done = True
            if waiting.done is not None:
                waiting.done()

    def _make_alone(self, waiting: _Waiting) -> None:
        waiting.error = None
        try:
            with writing(self._engine) as connection:
                waiting.result = waiting.change(connection)
        except BaseException as error:
            waiting.error = error


def _make(connection: Connection, waiting: _Waiting) -> None:
    try:
        waiting.result = waiting.change(connection)
    except Refusal as refusal:
        waiting.error = refusal
