"""Tags, request tokens and transactions, on every database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sql

from outcrop.errors import Conflict, ServiceRefusal
from outcrop.store.database import create_tables, reading, writing
from outcrop.store.idempotency import digest_of
from outcrop.store.resources import Resource
from outcrop.store.store import Store

NOW = datetime(2026, 5, 4, tzinfo=UTC)
ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/a"


def row(arn: str = ARN) -> Resource:
    return Resource(arn=arn, kind="k", region="us-east-1", created=NOW, updated=NOW)


def test_tags_are_added_changed_and_removed(store: Store) -> None:
    store.tags.put(ARN, {"team": "renga", "cost": "1"})
    store.tags.put(ARN, {"cost": "2"})
    store.tags.remove(ARN, ["team", "never there"])

    assert store.tags.get(ARN) == {"cost": "2"}
    store.tags.clear(ARN)
    assert store.tags.get(ARN) == {}


def test_a_fifty_first_tag_is_refused_and_changes_nothing(store: Store) -> None:
    fifty = {f"k{number:02}": "v" for number in range(50)}
    store.tags.put(ARN, fifty)

    with pytest.raises(ServiceRefusal) as refused:
        store.tags.put(ARN, {"k00": "new", "one more": "v"})

    assert (refused.value.code, refused.value.http_status) == ("TooManyTagsException", 400)
    assert refused.value.members == {"resourceName": ARN}
    assert store.tags.get(ARN) == fifty


def test_the_same_request_is_answered_as_before(store: Store) -> None:
    digest = digest_of({"jobName": "a", "n": 1})
    assert store.idempotency.recall("CreateJob", "t", digest) is None

    store.idempotency.remember("CreateJob", "t", digest, {"jobArn": ARN})

    assert store.idempotency.recall("CreateJob", "t", digest_of({"n": 1, "jobName": "a"})) == {"jobArn": ARN}
    assert store.idempotency.recall("CreateModel", "t", digest) is None


def test_the_same_token_for_another_request_is_a_conflict(store: Store) -> None:
    store.idempotency.remember("CreateJob", "t", "digest of one", {})

    with pytest.raises(Conflict, match=r"^clientRequestToken: this token was used for a different request"):
        store.idempotency.recall("CreateJob", "t", "digest of two")
    with pytest.raises(Conflict):
        store.idempotency.remember("CreateJob", "t", "digest of one", {})


def test_a_transaction_over_several_tables_happens_together_or_not_at_all(store: Store) -> None:
    def add_both(*, then_divide_by: int) -> float:
        with store.transaction():
            store.resources.add(row())
            store.tags.put(ARN, {"a": "b"})
            assert store.resources.get(ARN) is not None  # it sees its own writes
            return 1 / then_divide_by

    with pytest.raises(ZeroDivisionError):
        add_both(then_divide_by=0)
    assert store.resources.get(ARN) is None
    assert store.tags.get(ARN) == {}

    add_both(then_divide_by=1)
    assert store.tags.get(ARN) == {"a": "b"}


def test_a_room_may_make_its_own_tables_again_and_again(store: Store) -> None:
    metadata = sql.MetaData()
    table = sql.Table("of_a_room", metadata, sql.Column("x", sql.Integer))
    create_tables(store.engine, metadata)
    create_tables(store.engine, metadata)

    with writing(store.engine) as connection:
        connection.execute(sql.insert(table).values(x=7))
    with reading(store.engine) as connection:
        assert connection.execute(sql.select(table.c.x)).scalar() == 7


def test_tables_that_are_there_do_not_wait_for_whoever_writes(store: Store) -> None:
    # Given tables, and somebody in the middle of a transaction that makes more of them
    metadata = sql.MetaData()
    table = sql.Table("of_another_room", metadata, sql.Column("x", sql.Integer), sql.Index("by_x", "x"))
    create_tables(store.engine, metadata)
    sql.Table("of_nobody", later := sql.MetaData(), sql.Column("x", sql.Integer))

    with ThreadPoolExecutor(1) as other, store.transaction():
        create_tables(store.engine, later)
        store.tags.put(ARN, {"a": "b"})
        if store.is_local:
            # when another thread opens the room that has the first ones; then it need not wait
            other.submit(create_tables, store.engine, metadata).result(timeout=5)
    with reading(store.engine) as connection:
        assert connection.execute(sql.select(table.c.x)).all() == []
