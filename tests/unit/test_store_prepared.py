"""A prepared statement: the same rows as by SQLAlchemy, in the same transaction, with the same errors."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from outcrop.settings import Settings
from outcrop.store.database import DiskFull, UtcTime, create_tables, reading, writing
from outcrop.store.prepared import Prepared
from outcrop.store.store import Store

METADATA = sql.MetaData()
NOTES = sql.Table(
    "notes",
    METADATA,
    sql.Column("name", sql.String, primary_key=True),
    sql.Column("at", UtcTime),
    sql.Column("body", sql.LargeBinary),
    sql.Column("said", sql.JSON),
    sql.Column("size", sql.BigInteger),
)
ONE = sql.select(NOTES).where(NOTES.c.name == sql.bindparam("named"))
INSERT, FIND = Prepared(sql.insert(NOTES)), Prepared(ONE)
FULL = {
    "name": "作者",
    "at": datetime(2026, 11, 21, 7, 41, 58, 123456, UTC),
    "body": b"\0\xff",
    "said": {"a": ["é", None, 1.5]},
    "size": 2**62,
}
EMPTY: dict[str, Any] = {"name": "empty", "at": None, "body": None, "said": None, "size": None}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    create_tables(opened.engine, METADATA)
    yield opened
    opened.close()


@pytest.mark.parametrize("row", [FULL, EMPTY], ids=["full", "empty"])
def test_a_row_is_the_same_whichever_way_it_went(store: Store, row: dict[str, Any]) -> None:
    stored = sql.text("select * from notes")
    with writing(store.engine) as connection:
        INSERT.run(connection, row)
        ours = connection.execute(stored).one()
        connection.execute(sql.delete(NOTES))
        connection.execute(sql.insert(NOTES), row)
        assert connection.execute(stored).one() == ours

        found = connection.execute(ONE, {"named": row["name"]}).one()._asdict()
        assert FIND.first(connection, {"named": row["name"]}) == found == row
        assert FIND.first(connection, {"named": "nothing"}) is None
    assert store.points.first(FIND, {"named": row["name"]}) == row
    assert store.points.first(FIND, {"named": "nothing"}) is None


def test_it_joins_the_transaction_of_its_connection(store: Store) -> None:
    def write_and_fail() -> None:
        with writing(store.engine) as connection:
            INSERT.run(connection, EMPTY)
            assert FIND.first(connection, {"named": "empty"}) == EMPTY
            assert store.points.first(FIND, {"named": "empty"}) is None  # nobody else sees it yet
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with reading(store.engine) as connection:
        assert FIND.first(connection, {"named": "empty"}) is None


def test_a_reader_sees_one_moment_throughout(store: Store) -> None:
    with reading(store.engine) as connection:
        assert FIND.first(connection, {"named": "empty"}) is None
        with writing(store.engine) as other:
            INSERT.run(other, EMPTY)
        assert FIND.first(connection, {"named": "empty"}) is None
        assert connection.execute(ONE, {"named": "empty"}).first() is None


def test_a_disk_without_room_is_named(store: Store) -> None:
    def write_too_much() -> None:
        with writing(store.engine) as connection:
            pages = connection.exec_driver_sql("pragma page_count").scalar()
            connection.exec_driver_sql(f"pragma max_page_count = {pages}")
            INSERT.run(connection, EMPTY | {"body": bytes(1_000_000)})

    with pytest.raises(DiskFull, match="The disk is full: nothing was changed"):
        write_too_much()
