"""Every database that a home may have: each test of this folder runs on SQLite and on PostgreSQL."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sql

from outcrop.access.access import Access
from outcrop.buckets.buckets import Buckets
from outcrop.clock import MovableClock
from outcrop.settings import Settings
from outcrop.store.store import Store
from tests.support import postgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A server for all tests of this process."""
    programs = postgres.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package is `postgresql`)")
    with postgres.running_postgres(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.PostgresServer) -> sql.URL:
    return postgres_server.url


@pytest.fixture
def in_postgresql(postgres_url: sql.URL, tmp_path: Path) -> Settings:
    """A new home whose records are in PostgreSQL."""
    url = postgres.new_database(postgres_url, f"home_{next(_numbers)}")
    return Settings(home=tmp_path / "home", database_url=url.render_as_string(hide_password=False))


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A new home with its database."""
    home = tmp_path / "home"
    if request.param == "SQLite":
        return Settings(home=home)
    chosen: Settings = request.getfixturevalue("in_postgresql")
    return chosen


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def buckets(store: Store, clock: MovableClock) -> Buckets:
    made = Buckets(store, clock)
    made.create("books", "us-east-1")
    return made


@pytest.fixture
def access(store: Store, settings: Settings, clock: MovableClock) -> Access:
    return Access.open(store, settings, clock)
