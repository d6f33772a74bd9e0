"""The promises of the table of resources, on every database."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
import sqlalchemy as sql

from outcrop.errors import Conflict, Invalid
from outcrop.settings import Settings
from outcrop.store.database import reading, writing
from outcrop.store.listing import Filters
from outcrop.store.resources import NameTaken, Resource, Stale
from outcrop.store.store import Store

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def model(name: str | None, *, minute: int = 0, region: str = "us-east-1", **parts: Any) -> Resource:
    at = NOON + timedelta(minutes=minute)
    arn = f"arn:aws:bedrock:{region}:123456789012:custom-model/{name}-{minute}"
    return Resource(
        **{"arn": arn, "kind": "custom-model", "region": region, "name": name, "created": at, "updated": at, **parts}
    )


def names(store: Store, **asked: Any) -> list[str | None]:
    return [item.name for item in store.resources.list("custom-model", "us-east-1", **asked).items]


def test_a_resource_comes_back_as_it_was_added(store: Store) -> None:
    added = store.resources.add(model("parker", status="Active", document={"base": "m", "steps": [1, 2], "名": "俳句"}))

    assert store.resources.get(added.arn) == added
    assert store.resources.find("custom-model", "us-east-1", "parker") == added
    assert store.resources.get("arn:aws:bedrock:us-east-1:123456789012:custom-model/other") is None


def test_equal_rows_are_equal_resources(store: Store) -> None:
    added = store.resources.add(model("parker", document={"base": "m", "steps": [1, 2.5, None], "名": "俳句"}))
    row, by_name = store.resources.row(added.arn), store.resources.row_named("custom-model", "us-east-1", "parker")
    with store.transaction():  # where SQLite is not asked directly
        within = store.resources.row(added.arn)
    assert row is not None
    assert within is not None
    assert by_name == row
    assert row.resource() == within.resource() == added

    store.resources.replace(added, at=added.updated, status=added.status)
    assert store.resources.row(added.arn) != row


def test_microseconds_and_the_time_zone_survive(store: Store) -> None:
    at = datetime(2026, 5, 4, 12, 0, 0, 123457, tzinfo=UTC)
    added = store.resources.add(model("a", created=at))

    found = store.resources.get(added.arn)

    assert found is not None
    assert found.created == at
    assert found.created.tzinfo is UTC


def test_a_name_is_taken_within_its_kind_and_region_only(store: Store) -> None:
    store.resources.add(model("parker"))
    store.resources.add(model("parker", region="eu-west-1"))
    store.resources.add(model("parker", minute=1, kind="job"))

    with pytest.raises(NameTaken, match=r"^parker: this name is in use already\. Choose another name\.$"):
        store.resources.add(model("parker", minute=2))


def test_resources_without_a_name_do_not_collide(store: Store) -> None:
    store.resources.add(model(None, minute=1))
    store.resources.add(model(None, minute=2))

    with pytest.raises(Conflict, match="exists already"):
        store.resources.add(model(None, minute=2))


def test_of_two_writers_with_the_same_version_the_second_is_stale(store: Store) -> None:
    read = store.resources.add(model("a", status="InProgress", document={"step": 1}))
    stopped = store.resources.replace(read, at=NOON + timedelta(seconds=9), status="Stopping")

    with pytest.raises(Stale, match="changed or removed by someone else meanwhile"):
        store.resources.replace(read, at=NOON, status="Completed")

    assert store.resources.get(read.arn) == stopped
    assert (stopped.status, stopped.document, stopped.version) == ("Stopping", {"step": 1}, 2)
    assert stopped.updated == NOON + timedelta(seconds=9)


def test_a_new_name_must_be_free(store: Store) -> None:
    store.resources.add(model("a"))
    other = store.resources.add(model("b"))

    with pytest.raises(NameTaken):
        store.resources.replace(other, at=NOON, name="a")

    assert store.resources.replace(other, at=NOON, name="c").name == "c"


def test_removing_says_whether_it_was_there_in_that_version(store: Store) -> None:
    added = store.resources.add(model("a"))

    assert not store.resources.remove(added.arn, version=2)
    assert store.resources.remove(added.arn)
    assert not store.resources.remove(added.arn)
    store.resources.add(model("a"))  # the name is free again


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (Filters(), ["c", "Bob", "a"]),
        (Filters(name_contains="B"), ["Bob"]),
        (Filters(name_contains="%"), []),
        (Filters(name_prefix="Bo"), ["Bob"]),
        (Filters(name_prefix="b"), []),
        (Filters(name_prefix="%"), []),
        (Filters(statuses=("Active",)), ["c", "a"]),
        (Filters(created_after=NOON), ["c", "Bob"]),
        (Filters(created_before=NOON + timedelta(minutes=2)), ["Bob", "a"]),
        (Filters(updated_after=NOON + timedelta(minutes=1)), ["c"]),
        (Filters(equals={"base": "x"}), ["Bob", "a"]),
        (Filters(equals={"base": "x", "other": "1"}), []),
        (Filters(equals={"base": "x"}, statuses=("Active",)), ["a"]),
    ],
)
def test_a_listing_is_filtered(store: Store, filters: Filters, kept: list[str]) -> None:
    store.resources.add(model("a", minute=0, status="Active", document={"base": "x"}))
    store.resources.add(model("Bob", minute=1, status="Failed", document={"base": "x"}))
    store.resources.add(model("c", minute=2, status="Active", document={}))
    store.resources.add(model("elsewhere", region="eu-west-1"))

    assert names(store, filters=filters) == kept
    assert store.resources.count_in("custom-model", "us-east-1", filters) == len(kept)


@pytest.mark.parametrize(
    ("sort_by", "descending", "order"),
    [
        ("created", True, ["b", "a", "c"]),
        ("created", False, ["c", "a", "b"]),
        ("name", True, ["c", "b", "a"]),
        ("name", False, ["a", "b", "c"]),
        ("status", False, ["b", "c", "a"]),
        ("updated", True, ["b", "a", "c"]),
    ],
)
@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_pages_in_any_order_add_up(
    store: Store,
    sort_by: Literal["created", "updated", "name", "status"],
    descending: bool,
    order: list[str],
    page_size: int,
) -> None:
    for name, minute, status in (("a", 1, "z"), ("b", 2, "x"), ("c", 0, "y")):
        store.resources.add(model(name, minute=minute, status=status))

    seen: list[str | None] = []
    token = None
    while True:
        page = store.resources.list(
            "custom-model", "us-east-1", sort_by=sort_by, descending=descending, max_results=page_size, token=token
        )
        seen += [item.name for item in page.items]
        if page.next_token is None:
            break
        token = page.next_token

    assert seen == order


def test_names_sort_by_their_bytes_and_not_as_in_a_language(store: Store) -> None:
    for name in ("a", "B", "ä", "Z", "_", "俳"):
        store.resources.add(model(name))
    first = store.resources.list("custom-model", "us-east-1", sort_by="name", descending=False, max_results=3)
    assert [item.name for item in first.items] == ["B", "Z", "_"]
    assert names(store, sort_by="name", descending=False, token=first.next_token) == ["a", "ä", "俳"]


def test_a_token_stands_when_rows_come_and_go(store: Store) -> None:
    for minute in range(4):
        store.resources.add(model(f"m{minute}", minute=minute))
    first = store.resources.list("custom-model", "us-east-1", max_results=2)

    store.resources.add(model("newer", minute=9))
    store.resources.remove(first.items[-1].arn)
    second = store.resources.list("custom-model", "us-east-1", max_results=2, token=first.next_token)

    assert [item.name for item in second.items] == ["m1", "m0"]
    assert second.next_token is None


@pytest.mark.parametrize("broken", ["", "x", "[]", "not json", '{"a":1}', "é", "[null,null,null,null]", "[" * 100_000])
def test_a_broken_token_is_refused(store: Store, broken: str) -> None:
    with pytest.raises(Invalid, match=r"^nextToken: not a token of this listing\. Begin again without nextToken\.$"):
        store.resources.list("custom-model", "us-east-1", token=broken)


def test_a_token_of_another_order_is_refused(store: Store) -> None:
    for minute in range(3):
        store.resources.add(model(f"m{minute}", minute=minute))
    token = store.resources.list("custom-model", "us-east-1", max_results=1).next_token

    with pytest.raises(Invalid):
        store.resources.list("custom-model", "us-east-1", max_results=1, token=token, sort_by="name")
    with pytest.raises(Invalid):
        store.resources.list("custom-model", "us-east-1", max_results=1, token=token, descending=False)


def test_all_crosses_regions_and_begins_with_the_oldest(store: Store) -> None:
    store.resources.add(model("b", minute=2))
    store.resources.add(model("a", minute=1, region="eu-west-1"))
    store.resources.add(model("j", kind="job"))

    assert [item.name for item in store.resources.all("custom-model")] == ["a", "b"]


def test_resources_in_some_states_come_oldest_first(store: Store) -> None:
    for minute, (name, status) in enumerate([("a", "Ended"), ("b", "New"), ("c", "Running"), ("d", "New")]):
        store.resources.add(model(name, minute=minute, status=status))
    assert [row.name for row in store.resources.in_states("custom-model", ["New", "Running"])] == ["b", "c", "d"]
    assert [row.name for row in store.resources.in_states("custom-model", ["New"], most=1)] == ["b"]
    assert store.resources.in_states("custom-model", []) == []


def test_a_database_of_an_older_program_gets_the_indexes_it_lacks(settings: Settings) -> None:
    def indexes(store: Store) -> list[str]:
        told = {
            "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql > ''",
            "postgresql": "SELECT indexdef FROM pg_indexes WHERE tablename = 'resources'",
        }
        with reading(store.engine) as connection:
            return sorted(connection.execute(sql.text(told[connection.dialect.name])).scalars())

    store = Store.open(settings)
    complete = indexes(store)
    with writing(store.engine) as connection:
        connection.execute(sql.text("DROP INDEX resources_by_name"))
    store.close()
    again = Store.open(settings)
    assert indexes(again) == complete
    again.close()


def test_whether_there_is_any_of_a_kind(store: Store) -> None:
    assert not store.resources.has_any("custom-model")
    added = store.resources.add(model("a"))
    with store.transaction():  # where SQLite is not asked directly
        assert store.resources.has_any("custom-model")
        assert not store.resources.has_any("quota")
    assert store.resources.has_any("custom-model")
    store.resources.remove(added.arn)
    assert not store.resources.has_any("custom-model")
