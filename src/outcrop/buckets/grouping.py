"""Changes that are waiting at the same time share one transaction, and so one wait for the disk.

Whoever comes while a commit is on its way queues up; the first of them then makes the changes of all who wait, and
wakes them when they are on the disk. A hundred uploads at once cost a few commits; one alone costs what it did.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy.engine import Connection, Engine

from outcrop.errors import Refusal
from outcrop.store.database import is_writing, writing

T = TypeVar("T")
Change = Callable[[Connection], T]
"""It refuses before it writes anything, and may be made once more when the transaction of all failed."""
_MOST = 64


@dataclass(eq=False)
class _Waiting:
    change: Change[Any]
    is_done: bool = False
    result: Any = None
    error: BaseException | None = None


class Grouping:
    """The changes of one room to one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._queue: list[_Waiting] = []
        self._queue_lock = threading.Lock()

    def make(self, change: Change[T]) -> T:
        """Make the change, perhaps with others; returns when it is on the disk. Raises what it raises."""
        if is_writing(self._engine):
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
        if waiting.error is not None:
            raise waiting.error
        return cast("T", waiting.result)

    def _taken(self) -> list[_Waiting]:
        with self._queue_lock:
            taken, self._queue = self._queue[:_MOST], self._queue[_MOST:]
        return taken

    def _make_all(self, group: list[_Waiting]) -> None:
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
