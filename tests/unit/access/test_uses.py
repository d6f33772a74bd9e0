"""When a key was last used: told exactly, written at most once a minute."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sql

from outcrop.access.last_used import Use, Uses
from outcrop.access.records.records import Records
from outcrop.store.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)


def use(seconds: int) -> Use:
    return Use(at=START + timedelta(seconds=seconds), service="s3", region="us-east-1")


@pytest.fixture
def writings() -> list[Callable[[], None]]:
    return []


@pytest.fixture
def uses(store: Store, writings: list[Callable[[], None]]) -> Uses:
    def at_once(work: Callable[[], None]) -> None:
        writings.append(work)
        work()

    return Uses(Records(store.engine), begin=at_once)


def test_a_key_in_use_all_the_time_is_written_once_a_minute(uses: Uses, writings: list[Callable[[], None]]) -> None:
    for second in range(150):
        uses.note("AKIA1", use(second))
    assert len(writings) == 3
    assert uses.last("AKIA1") == use(149)


def test_another_process_sees_what_was_written(uses: Uses, store: Store) -> None:
    uses.note("AKIA1", use(0))
    uses.note("AKIA1", use(59))
    other = Uses(Records(store.engine))
    assert other.last("AKIA1") == use(0)
    assert other.last("AKIA2") is None


def test_noting_a_use_leaves_the_memory_of_decisions_alone(uses: Uses, store: Store) -> None:
    changes = Records(store.engine).changes
    before = changes.number()
    uses.note("AKIA1", use(0))
    assert changes.number() == before


def test_a_use_that_cannot_be_written_is_logged_and_still_known(
    uses: Uses, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with store.engine.begin() as connection:
        connection.execute(sql.text("DROP TABLE access_uses"))
    uses.note("AKIA1", use(0))
    assert "the last use of AKIA1 was not written" in caplog.text
