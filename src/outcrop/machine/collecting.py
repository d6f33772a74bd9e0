"""Python's search for objects that hold each other, made less often where many objects come and go."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_OBJECTS = 50_000
"New ones between two searches; with Python's own 700 they take a twelfth of the time of reading records."
_lock = Lock()
_usual: tuple[int, int, int] = gc.get_threshold()
_num_inside = 0


@contextmanager
def seldom() -> Iterator[None]:
    """A context in which objects that hold each other may lie about for a few megabytes longer."""
    global _usual, _num_inside
    with _lock:
        if not _num_inside:
            _usual = gc.get_threshold()
            if _usual[0]:  # else it is switched off
                gc.set_threshold(_OBJECTS, *_usual[1:])
        _num_inside += 1
    try:
        yield
    finally:
        with _lock:
            _num_inside -= 1
            if not _num_inside:
                gc.set_threshold(*_usual)
