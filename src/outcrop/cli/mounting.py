"""The buckets of a home, opened by the command line itself. A mount is a record on this machine, no request."""

from collections.abc import Iterator
from contextlib import contextmanager

from outcrop.buckets.buckets import Buckets
from outcrop.clock import SystemClock
from outcrop.house import House
from outcrop.settings import Settings


@contextmanager
def open_buckets(settings: Settings) -> Iterator[Buckets]:
    """Raises MachineTrouble when the home cannot be used."""
    with House(settings, SystemClock()) as house:
        yield house.buckets
