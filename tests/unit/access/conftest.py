"""A home with its account, on a real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from outcrop.access.access import Access
from outcrop.clock import MovableClock
from outcrop.settings import Settings
from outcrop.store.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def access(store: Store, settings: Settings, clock: MovableClock) -> Access:
    return Access.open(store, settings, clock)
