"""Buckets on a real database and real files, with a clock that is moved by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.buckets.buckets import Buckets
from outcrop.clock import MovableClock
from outcrop.settings import Settings
from outcrop.store.store import Store


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def buckets(store: Store, clock: MovableClock) -> Buckets:
    made = Buckets(store, clock)
    made.create("books", "us-east-1")
    return made
