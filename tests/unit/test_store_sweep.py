"""Who looks at records in a loop: whether anybody wrote, and rows that cannot be read."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from outcrop.settings import Settings
from outcrop.store.damage import Damaged
from outcrop.store.damage_sweep import PIECE, DamageSweep
from outcrop.store.database import writing
from outcrop.store.resources import Resource
from outcrop.store.store import Store
from outcrop.store.watch import ChangeWatch

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(Settings(home=tmp_path))
    yield opened
    opened.close()


def row(name: str, status: str = "Active") -> Resource:
    return Resource(arn=f"arn/{name}", kind="k", region="r", name=name, status=status, created=NOON, updated=NOON)


def damage(store: Store, name: str) -> str:
    with writing(store.engine) as connection:
        connection.exec_driver_sql(f"UPDATE resources SET document = 'no JSON' WHERE name = '{name}'")
    return f"arn/{name}"


def moved(watch: ChangeWatch) -> bool:
    with watch.news() as found:
        return found


def test_a_watch_tells_of_writes_of_this_process_and_of_others(store: Store, tmp_path: Path) -> None:
    watch = ChangeWatch(store.engine)
    assert [moved(watch), moved(watch)] == [True, False]

    store.resources.add(row("a"))
    assert [moved(watch), moved(watch)] == [True, False]

    other = Store.open(Settings(home=tmp_path))
    moved(watch)
    assert (other.resources.get("arn/a"), moved(watch)) == (row("a"), False)
    other.resources.remove("arn/a")
    assert [moved(watch), moved(watch)] == [True, False]
    other.close()


def test_news_that_could_not_be_read_are_news_again(store: Store) -> None:
    watch = ChangeWatch(store.engine)
    with pytest.raises(OSError, match="disk"), watch.news():
        raise OSError("disk")
    assert [moved(watch), moved(watch)] == [True, False]


def test_a_closed_watch_begins_anew(store: Store) -> None:
    watch = ChangeWatch(store.engine)
    moved(watch)
    store.close()
    assert [moved(watch), moved(watch)] == [True, False]


def test_a_small_home_is_looked_through_in_one_turn_after_each_write(store: Store) -> None:
    for name in ("a", "b"):
        store.resources.add(row(name))
    sweep = DamageSweep(store)
    assert sweep.turn(at=NOON) == []

    damaged = damage(store, "a")
    assert sweep.turn(at=NOON) == [damaged]
    found = store.resources.get(damaged)
    assert found is not None
    assert (found.status, list(found.document)) == ("Failed", ["failureMessage"])
    assert sweep.turn(at=NOON) == []


def test_half_a_character_in_a_damaged_record_keeps_it_from_nothing(store: Store) -> None:
    store.resources.add(row("a"))
    with writing(store.engine) as connection:
        connection.exec_driver_sql("UPDATE resources SET created = 'never', document = '{\"told\": \"\\ud800!\"}'")
    assert DamageSweep(store).turn(at=NOON) == ["arn/a"]
    found = store.resources.get("arn/a")
    assert found is not None
    assert found.document["told"] == "?!"


def test_a_large_home_is_looked_through_in_pieces(store: Store) -> None:
    with store.transaction():
        for number in range(PIECE + 1):
            store.resources.add(row(f"{number:05}"))
    sweep = DamageSweep(store)
    last = damage(store, f"{PIECE:05}")
    assert [sweep.turn(at=NOON), sweep.turn(at=NOON), sweep.turn(at=NOON)] == [[], [last], []]


def test_what_a_reader_met_is_failed_at_the_next_turn_wherever_the_sweep_is(store: Store) -> None:
    with store.transaction():
        for number in range(PIECE + 3):
            store.resources.add(row(f"{number:05}"))
    by_list, by_arn, mended = (damage(store, f"{PIECE + n:05}") for n in range(3))
    with pytest.raises(Damaged):
        store.resources.get(by_arn)
    with pytest.raises(Damaged):
        store.resources.get(mended)
    assert [item.name for item in store.resources.list("k", "r", max_results=1).items] == []
    with writing(store.engine) as connection:
        connection.exec_driver_sql(f"UPDATE resources SET document = '{{}}' WHERE arn = '{mended}'")
        connection.exec_driver_sql(f"UPDATE resources SET created = created + 1 WHERE arn = '{by_list}'")
    store.resources.list("k", "r", max_results=1)
    assert DamageSweep(store).turn(at=NOON) == sorted([by_list, by_arn])


def test_references_are_found_by_state_or_by_index(store: Store) -> None:
    store.references.index("k", "parent", "child")
    for name, status, document in (
        ("a", "New", {"parent": "p"}),
        ("b", "Old", {"child": "p"}),
        ("c", "New", {"parent": 5}),
    ):
        store.resources.add(Resource(**{**vars(row(name, status)), "document": document}))
    damage(store, "c")

    def names(**states: list[str]) -> list[str | None]:
        return [found.name for found in store.references.naming("k", ["parent", "child"], "p", **states)]

    assert (names(), names(states=["Old"])) == (["a", "b"], ["b"])
    assert store.references.named("k", ["parent", "child"], but_in=["Old"]) == {("r", "p")}


def test_regions_are_those_of_every_kind(store: Store) -> None:
    for number, (kind, region) in enumerate(
        [("k", "us-east-1"), ("k", "eu-west-1"), ("j", "us-east-1"), ("i", "ap-1")]
    ):
        store.resources.add(Resource(arn=str(number), kind=kind, region=region, created=NOON, updated=NOON))
    assert store.resources.regions() == ["ap-1", "eu-west-1", "us-east-1"]
