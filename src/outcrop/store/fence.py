"""A fence: a condition without which a context writes nothing, checked inside each of its write transactions.

    with fenced(check):               # raises what `check` raises, from the first statement of every write
        ...
    with fenced_process(check):       # for every thread of a process that does one thing alone
        ...

A check that precedes a write proves little: the process may be paused in between, for minutes. Here the check stands in
the transaction itself, and whatever it reads is locked until the commit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakSet

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

Check = Callable[[Connection], None]
"""Raises where nothing may be written any more."""

# A context variable, since who writes a row does not know for whom; threads of a light worker have a fence each.
_of_context: ContextVar[Check | None] = ContextVar("outcrop_fence", default=None)
_of_process: list[Check] = []
_keeping: WeakSet[Engine] = WeakSet()


def keep(engine: Engine) -> None:
    """Have the write transactions of this database keep to the fences of their contexts. Doing it again changes
    nothing, and other threads may be using the engine."""
    _keeping.add(engine)


def watch(engine: Engine) -> None:
    """Look at each transaction of a new engine. Only before it is shared: while a listener is added to an engine, a
    transaction that begins in another thread fails."""
    sql.event.listen(engine, "begin", _check)


@contextmanager
def fenced(check: Check) -> Iterator[None]:
    """A block whose writes to databases that keep fences need this check; threads that it starts are not bound."""
    token = _of_context.set(check)
    try:
        yield
    finally:
        _of_context.reset(token)


@contextmanager
def fenced_process(check: Check) -> Iterator[None]:
    """A block in which every write of this process needs the check, in whichever thread."""
    _of_process.append(check)
    try:
        yield
    finally:
        _of_process.remove(check)


@contextmanager
def unfenced() -> Iterator[None]:
    """A block that writes whatever fences there are: its statements say themselves what they need."""
    token = _of_context.set(_nothing_needed)
    try:
        yield
    finally:
        _of_context.reset(token)


def is_fenced() -> bool:
    """Whether this context has a fence of its own: it then writes in its own transactions alone."""
    return _of_context.get() is not None


def _nothing_needed(_connection: Connection) -> None:
    pass


def _check(connection: Connection) -> None:
    if connection.engine not in _keeping or not connection.get_execution_options().get("outcrop_writes", False):
        return
    own = _of_context.get()
    for check in _of_process if own is None else (own,):
        check(connection)
