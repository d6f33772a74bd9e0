"""Python's search for objects that hold each other, made less often where many objects come and go."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS = 50_000
"New ones between two searches; Python's own 700 take a tenth of the time of reading records."


@contextmanager
def seldom() -> Iterator[None]:
    """A context in which objects that hold each other may lie about for a few megabytes longer."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _OBJECTS) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
